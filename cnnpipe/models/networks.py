"""Classifiers by name: one literal table."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.activations import set_activation
from cnnpipe.models.alexnet import alexnet, alexnet2012, zfnet
from cnnpipe.models.building import FirstWeights, build_seeded, check_choice
from cnnpipe.models.cnn import cnn
from cnnpipe.models.fully_connected import mlp, perceptron
from cnnpipe.models.googlenet import googlenet, inception_v3
from cnnpipe.models.googlenet_naive import googlenet_naive
from cnnpipe.models.inception_v2 import inception_v2
from cnnpipe.models.initialisation import start_layers
from cnnpipe.models.lenet import LeNet5
from cnnpipe.models.lite0 import lite0, load_lite0_weights
from cnnpipe.models.mobilenet import mobilenet
from cnnpipe.models.resnet import resnet
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.timm_networks import any_timm_network, timm_network
from cnnpipe.models.vgg import vgg
from cnnpipe.params.networks import is_of_timm, option_fault, side_fault

# params/networks.py holds the facts of each, for those who must not import torch
NETWORKS: Final[Mapping[str, Callable[[NetworkShape], nn.Module]]] = MappingProxyType(
    {
        "perceptron": perceptron,
        "mlp": mlp,
        "lenet": LeNet5,
        "cnn": cnn,
        "alexnet2012": alexnet2012,
        "alexnet": alexnet,
        "zfnet": zfnet,
        "vgg11": partial(vgg, "vgg11"),
        "vgg13": partial(vgg, "vgg13"),
        "vgg16": partial(vgg, "vgg16"),
        "vgg19": partial(vgg, "vgg19"),
        "vgg11_bn": partial(vgg, "vgg11_bn"),
        "vgg13_bn": partial(vgg, "vgg13_bn"),
        "vgg16_bn": partial(vgg, "vgg16_bn"),
        "vgg19_bn": partial(vgg, "vgg19_bn"),
        "googlenet": googlenet,
        "googlenet_naive": googlenet_naive,
        "inception_v2": inception_v2,
        "inception_v3": inception_v3,
        "resnet18": partial(resnet, "resnet18"),
        "resnet34": partial(resnet, "resnet34"),
        "resnet50": partial(resnet, "resnet50"),
        "resnet101": partial(resnet, "resnet101"),
        "resnet152": partial(resnet, "resnet152"),
        "se_resnet18": partial(timm_network, "seresnet18"),
        "se_resnet50": partial(timm_network, "seresnet50"),
        "senet154": partial(timm_network, "senet154"),
        "mobilenet_v1": partial(timm_network, "mobilenetv1_100"),
        "mobilenet_v2": partial(mobilenet, "mobilenet_v2"),
        "mobilenet_v3_small": partial(mobilenet, "mobilenet_v3_small"),
        "mobilenet_v3_large": partial(mobilenet, "mobilenet_v3_large"),
        "lite0": lite0,
        "lite1": partial(timm_network, "tf_efficientnet_lite1"),
        "lite2": partial(timm_network, "tf_efficientnet_lite2"),
        "lite3": partial(timm_network, "tf_efficientnet_lite3"),
        "lite4": partial(timm_network, "tf_efficientnet_lite4"),
        "coatnet_nano": partial(timm_network, "coatnet_nano_rw_224"),
        "coatnet_0": partial(timm_network, "coatnet_0_224"),
        "convnext_tiny": partial(timm_network, "convnext_tiny"),
    }
)
PACKAGE_WEIGHTS: Final[Mapping[str, Callable[[nn.Module], None]]] = MappingProxyType(
    {"lite0": load_lite0_weights}
)


def build_network(name: str, shape: NetworkShape, *, weights: FirstWeights, seed: int) -> nn.Module:
    """Return the named network with its first weights, a function of the arguments alone.

    Args:
        name: key of `NETWORKS`, or timm/<name> for any classifier of timm.
        shape: sizes at its two ends, and options.
        weights: package: trained weights from a Python package below a new head; none: random ones.
        seed: of the random weights; torch's own generator is left as it was.

    Raises:
        ParamsError: there is no such network, no such weights or option, or the input does not fit.
    """
    known = (*NETWORKS, name) if is_of_timm(name) else NETWORKS
    check_choice(name, weights, known=known, in_packages=PACKAGE_WEIGHTS)
    if fault := option_fault(name, shape.options):
        raise ParamsError("options", fault, f"remove what {name} does not take")
    if fault := side_fault(name, shape.side_px):
        raise ParamsError("input.side_px", fault, "raise input.side_px")
    network = build_seeded(partial(_made, name, shape), seed=seed)
    if weights == "package":
        PACKAGE_WEIGHTS[name](network)
    return network


def _made(name: str, shape: NetworkShape) -> nn.Module:
    network = any_timm_network(name, shape) if is_of_timm(name) else NETWORKS[name](shape)
    if shape.options.activation is not None:
        set_activation(network, shape.options.activation)
    if shape.options.start is not None:
        start_layers(network, shape.options.start)
    return network
