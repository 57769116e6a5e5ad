"""Penalties on the size of weights, added to the loss once per step."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnnpipe.params.losses import PenaltyParams

_FEWEST_AXES = 2  # of a weight; biases, scales and shifts of normalisation have one


def penalty_parts(network: nn.Module, params: PenaltyParams | None) -> dict[str, Tensor]:
    """Return the penalties that are on by name: "l1" is l1·Σ|w|, "l2" is l2·Σw², scalars.

    The sums are over the tensors of two axes and more that learn: biases and what normalisation scales and
    shifts by are left out, and so is what is frozen. l2·Σw² pulls as a weight decay of 2·l2 in plain SGD.

    Source: Goodfellow et al. 2016, Deep Learning, sections 7.1.1 and 7.1.2.
    """
    if params is None:
        return {}
    weights = [w for w in network.parameters() if w.requires_grad and w.dim() >= _FEWEST_AXES]
    factors: list[tuple[str, float, Callable[[Tensor], Tensor]]] = [
        ("l1", params.l1, torch.abs),
        ("l2", params.l2, torch.square),
    ]
    return {
        name: factor * torch.stack([size_of(w).sum() for w in weights]).sum()
        for name, factor, size_of in factors
        if factor > 0.0 and weights
    }
