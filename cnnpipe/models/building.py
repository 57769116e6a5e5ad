"""What building a network by its name has in common, whatever the task."""

from collections.abc import Callable, Collection
from typing import Literal

import torch
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.memory import is_out_of_memory
from cnnpipe.params.load import did_you_mean

FirstWeights = Literal["none", "package"]


def check_choice(
    name: str, weights: FirstWeights, *, known: Collection[str], in_packages: Collection[str]
) -> None:
    """Check that there is such a network, and that a package holds its weights where they are asked for.

    Raises:
        ParamsError: it is not so; the nearest name is told.
    """
    if name not in known:
        fix = f"{did_you_mean(name, known)}the networks are: {', '.join(sorted(known))}"
        raise ParamsError("network", f"{name!r} is not known", fix)
    if weights == "package" and name not in in_packages:
        fix = f"set weights: none, or choose a network that has them: {', '.join(sorted(in_packages))}"
        raise ParamsError("weights", f"no package holds weights of {name!r}", fix)


def build_seeded(make: Callable[[], nn.Module], *, seed: int) -> nn.Module:
    """Return the network that `make` makes from the seed alone; torch's own generator is left as it was.

    Raises:
        ParamsError: memory does not hold its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return make()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            fix = "choose a smaller network or layers of fewer features, or lower input.side_px"
            raise ParamsError("network", "memory does not hold its weights", fix) from error


def num_parameters(network: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
