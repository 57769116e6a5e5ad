"""What training makes small.

Legend: B batch, K classes.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from cnnpipe.errors import ModelError

LOWER_RATE: Final = "lower optimiser.learning_rate, or raise schedule.warmup_epochs"


def cross_entropy(logits_BK: Tensor, targets_B: Tensor, *, label_smoothing: float) -> Tensor:
    """Return the mean over the batch of -Σ_k q_k ln p_k, with p the softmax of the logits.

    q is 1 - s + s/K for the true class and s/K for every other: s = 0 gives -ln p of the true class.

    Args:
        logits_BK: what the network says.
        targets_B: true class, 0-based.
        label_smoothing: s, the share of certainty given away, in [0, 1).

    Returns:
        A scalar in nats, at least 0.

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture, section 7.
    """
    return functional.cross_entropy(logits_BK, targets_B, label_smoothing=label_smoothing)


def mean_over_pictures(losses: Sequence[Tensor], sizes: Sequence[int]) -> float:
    """Return the mean of batches' means, each counted as often as the batch has pictures; in float64.

    Args:
        losses: scalars, at least one.
        sizes: pictures in each batch.
    """
    values = torch.stack(list(losses)).double().cpu()
    weights = torch.tensor(sizes, dtype=torch.float64)
    return float((values * weights).sum() / weights.sum())


def finite_on_val(loss: float) -> float:
    """Return the loss.

    Raises:
        ModelError: it is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise ModelError("validation", f"the loss on val is {loss}", LOWER_RATE)
    return loss
