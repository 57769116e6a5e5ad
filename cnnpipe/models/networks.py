"""Classifiers by name: one literal table."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from torch import nn

from cnnpipe.models.building import FirstWeights, build_seeded, check_choice
from cnnpipe.models.lenet import LeNet5
from cnnpipe.models.lite0 import lite0, load_lite0_weights
from cnnpipe.models.resnet import resnet18
from cnnpipe.models.shape import NetworkShape

# params/experiment.py holds the same names for those who must not import torch
NETWORKS: Final[Mapping[str, Callable[[NetworkShape], nn.Module]]] = MappingProxyType(
    {"lenet": LeNet5, "lite0": lite0, "resnet18": resnet18}
)
PACKAGE_WEIGHTS: Final[Mapping[str, Callable[[nn.Module], None]]] = MappingProxyType(
    {"lite0": load_lite0_weights}
)


def build_network(name: str, shape: NetworkShape, *, weights: FirstWeights, seed: int) -> nn.Module:
    """Return the named network with its first weights, a function of the arguments alone.

    Args:
        name: key of `NETWORKS`.
        shape: sizes at its two ends.
        weights: package: trained weights from a Python package below a new head; none: random ones.
        seed: of the random weights; torch's own generator is left as it was.

    Raises:
        ParamsError: there is no such network, no such weights, or the input is too small.
    """
    check_choice(name, weights, known=NETWORKS, in_packages=PACKAGE_WEIGHTS)
    network = build_seeded(partial(NETWORKS[name], shape), seed=seed)
    if weights == "package":
        PACKAGE_WEIGHTS[name](network)
    return network
