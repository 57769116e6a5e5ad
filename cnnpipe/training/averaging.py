"""A moving average of the weights, which often judges better than the weights themselves."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from cnnpipe.params.experiment import EmaParams


def make_average(network: nn.Module, params: EmaParams | None) -> AveragedModel | None:
    """Return what averages the weights of `network`, step by step; None where params want no average.

    w̄ ← d w̄ + (1 - d) w after each step, with d = min(decay, (1 + t) / (10 + t)) after t steps, so that the
    average of a short training is not that of its start. Statistics of batch norm are those of the network.

    Source: Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging; TensorFlow,
    `ExponentialMovingAverage` (the growing decay).
    """
    if params is None:
        return None
    decay = params.decay

    def average(averages: Sequence[Tensor], weights: Sequence[Tensor], num_averaged: Tensor | int) -> None:
        steps = int(num_averaged)
        share = 1.0 - min(decay, (1.0 + steps) / (10.0 + steps))
        torch._foreach_lerp_(list(averages), list(weights), share)

    return AveragedModel(network, multi_avg_fn=average)
