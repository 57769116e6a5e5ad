"""Optimisers by name, with weight decay only where it belongs."""

import torch
from torch import nn

from cnnpipe.params.experiment import AdamParams, SgdParams


def make_optimiser(network: nn.Module, params: SgdParams | AdamParams) -> torch.optim.Optimizer:
    """Return the optimiser of params for all of `network`.

    Biases and the scales and shifts of normalisation do not decay: being pulled to zero is of no use
    to them. Adam's decay is decoupled from the gradient, so without decay it is plain Adam.

    Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization; He et al. 2019, Bag of
    Tricks for Image Classification, section 3.1 (no bias decay).
    """
    groups = [
        {"params": _trainable(network, is_matrix=True), "weight_decay": params.weight_decay},
        {"params": _trainable(network, is_matrix=False), "weight_decay": 0.0},
    ]
    # fused: one pass over all numbers, half the time of the loop over tensors
    if isinstance(params, SgdParams):
        return torch.optim.SGD(
            groups,
            lr=params.learning_rate,
            momentum=params.momentum,
            nesterov=params.nesterov,
            fused=True,
        )
    return torch.optim.AdamW(groups, lr=params.learning_rate, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group the rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate


def _trainable(network: nn.Module, *, is_matrix: bool) -> list[nn.Parameter]:
    """Return the filters and matrices, or the vectors (biases, normalisation)."""
    return [p for p in network.parameters() if p.requires_grad and (p.ndim >= 2) == is_matrix]
