"""Optimisers by name, with weight decay only where it belongs."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from cnnpipe.params.optimisers import AdamParams, AdamWParams, OptimiserParams, RmsPropParams, SgdParams
from cnnpipe.training.transfer import Transfer


def make_optimiser(
    network: nn.Module, params: OptimiserParams, transfer: Transfer | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser of params for all of `network`.

    Biases and the scales and shifts of normalisation do not decay: being pulled to zero is of no use
    to them. What else an optimiser has (Adam's betas 0.9 and 0.999, epsilon 1e-8) is as torch has it.

    Args:
        network: whose parameters learn, but for those without a gradient.
        params: name, rate and decay.
        transfer: the parts that have groups and a rate of their own, whether they are frozen at first or not.

    Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization; He et al. 2019, Bag of
    Tricks for Image Classification, section 3.1 (no bias decay).
    """
    parts = () if transfer is None else transfer.learning_parts
    apart = {id(parameter) for part in parts for parameter in part.parameters}
    rest = [p for p in network.parameters() if p.requires_grad and id(p) not in apart]
    groups = _groups(rest, params.weight_decay, rate_share=1.0)
    for part in parts:
        groups += _groups(part.parameters, params.weight_decay, rate_share=part.rate_share)
    return _of_groups(groups, params)


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group its share of the rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["rate_share"]


def _of_groups(groups: list[dict[str, Any]], params: OptimiserParams) -> torch.optim.Optimizer:
    """Return torch's optimiser.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep learning (SGD,
    Nesterov, as torch has them: the rate is outside of the momentum); Kingma and Ba 2015, Adam; Hinton 2012,
    Neural Networks for Machine Learning, lecture 6e (RMSprop).
    """
    # fused: one pass over all numbers, half the time of the loop over tensors; torch has none of RMSprop
    rate = params.learning_rate
    match params:
        case SgdParams(momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=True)
        case AdamParams():
            return torch.optim.Adam(groups, lr=rate, fused=True)
        case AdamWParams():
            return torch.optim.AdamW(groups, lr=rate, fused=True)
        case RmsPropParams(smoothing=smoothing, momentum=momentum):
            return torch.optim.RMSprop(groups, lr=rate, alpha=smoothing, momentum=momentum)


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
