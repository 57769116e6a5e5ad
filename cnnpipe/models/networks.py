"""Networks by name: one literal table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

import torch
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.lenet import LeNet5
from cnnpipe.models.lite0 import lite0, load_lite0_weights
from cnnpipe.models.resnet import resnet18
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.load import did_you_mean

# params/experiment.py holds the same names for those who must not import torch
NETWORKS: Final[Mapping[str, Callable[[NetworkShape], nn.Module]]] = MappingProxyType(
    {"lenet": LeNet5, "lite0": lite0, "resnet18": resnet18}
)
PACKAGE_WEIGHTS: Final[Mapping[str, Callable[[nn.Module], None]]] = MappingProxyType(
    {"lite0": load_lite0_weights}
)


def build_network(
    name: str, shape: NetworkShape, *, weights: Literal["none", "package"], seed: int
) -> nn.Module:
    """Return the named network with its first weights, a function of the arguments alone.

    Args:
        name: key of `NETWORKS`.
        shape: sizes at its two ends.
        weights: package: trained weights from a Python package below a new head; none: random ones.
        seed: of the random weights; torch's own generator is left as it was.

    Raises:
        ParamsError: there is no such network, no such weights, or the input is too small.
    """
    if name not in NETWORKS:
        fix = f"{did_you_mean(name, NETWORKS)}the networks are: {', '.join(sorted(NETWORKS))}"
        raise ParamsError("network", f"{name!r} is not known", fix)
    if weights == "package" and name not in PACKAGE_WEIGHTS:
        fix = f"set weights: none, or choose a network that has them: {', '.join(sorted(PACKAGE_WEIGHTS))}"
        raise ParamsError("weights", f"no package holds weights of {name!r}", fix)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = NETWORKS[name](shape)
    if weights == "package":
        PACKAGE_WEIGHTS[name](network)
    return network


def num_parameters(network: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
