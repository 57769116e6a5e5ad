"""Optimisers by name, with weight decay only where it belongs."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from cnnpipe.params.optimisers import OptimiserParams, SgdParams
from cnnpipe.training.transfer import Transfer


def make_optimiser(
    network: nn.Module, params: OptimiserParams, transfer: Transfer | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser of params for all of `network`.

    Biases and the scales and shifts of normalisation do not decay: being pulled to zero is of no use
    to them. Adam's decay is decoupled from the gradient, so without decay it is plain Adam.

    Args:
        network: whose parameters learn, but for those without a gradient.
        params: name, rate and decay.
        transfer: the backbone, which has groups and a rate of its own, whether it is frozen at first or not.

    Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization; He et al. 2019, Bag of
    Tricks for Image Classification, section 3.1 (no bias decay).
    """
    backbone = () if transfer is None else transfer.parameters
    of_backbone = {id(parameter) for parameter in backbone}
    rest = [p for p in network.parameters() if p.requires_grad and id(p) not in of_backbone]
    groups = _groups(rest, params.weight_decay, rate_share=1.0)
    if transfer is not None:
        groups += _groups(transfer.parameters, params.weight_decay, rate_share=transfer.rate_share)
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
    """Give every group its share of the rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["rate_share"]


def _groups(
    parameters: Sequence[nn.Parameter], weight_decay: float, *, rate_share: float
) -> list[dict[str, Any]]:
    """Return the filters and matrices, which decay, and the vectors (biases, normalisation), which do not."""
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay, "rate_share": rate_share},
        {"params": vectors, "weight_decay": 0.0, "rate_share": rate_share},
    ]
