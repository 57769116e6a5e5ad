"""What a task makes small, and what it is judged by: all that training knows of a task."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

# pictures_BCHW uint8, and what is true of each
AnyBatch = TypeVar("AnyBatch", bound=tuple[Tensor, Any])


def whole(network: nn.Module) -> Sequence[nn.Module]:
    """Return the network as its only part."""
    return (network,)


@dataclass(frozen=True)
class Objective(Generic[AnyBatch]):
    """`losses` and `judge` are given the network and the device that it is on."""

    # network in training mode, batch -> part -> mean over the batch; the loss is the sum of its parts
    losses: Callable[[nn.Module, AnyBatch, torch.device], Mapping[str, Tensor]]
    # network, val -> metric -> value, "loss" among them; may change the network's mode and nothing else
    judge: Callable[[nn.Module, Iterable[AnyBatch], torch.device], dict[str, float]]
    # network -> its parts that may compute in a lower precision while it trains; `judge` has float32
    may_be_lowered: Callable[[nn.Module], Sequence[nn.Module]] = whole
