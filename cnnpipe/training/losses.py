"""What training makes small: pure functions, each of the pictures of a batch.

Each returns one value per picture, so that the mean over a batch is the same however the batch is computed in
parts. Labels are shares of the classes that sum to 1: a 1 and 0s, or softer where they are smoothed or mixed.

Legend: B batch, K classes, O outputs.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

import torch
from torch import Tensor

from cnnpipe.errors import ModelError
from cnnpipe.params.losses import (
    AbsoluteErrorParams,
    ClassifyLossParams,
    CrossEntropyParams,
    FocalParams,
    HingeParams,
    KlDivergenceParams,
    RegressLossParams,
    SmoothL1Params,
    SquaredErrorParams,
)

LOWER_RATE: Final = "lower optimiser.learning_rate, or raise schedule.warmup_epochs"
_SMALLEST: Final = 1e-12  # of what a power is taken of: at 0 a power below 1 has no slope

PictureLoss = Callable[[Tensor, Tensor], Tensor]  # outputs_BO, targets_BO -> losses_B
Reduction = Literal["mean", "sum"]  # over the outputs of one picture


def classification_loss(
    params: ClassifyLossParams, *, class_weights: Sequence[float] | None = None
) -> PictureLoss:
    """Return the loss of params: from logits_BK and labels_BK to losses_B.

    Args:
        params: which loss.
        class_weights: of each class; None: they weigh the same. Losses that know no weights leave them out.
    """
    match params:
        case CrossEntropyParams():
            return partial(_smoothed_cross_entropy, params.label_smoothing, class_weights)
        case FocalParams():
            return partial(focal_loss, gamma=params.gamma, class_weights=class_weights)
        case KlDivergenceParams():
            return partial(_smoothed_kl_divergence, params.label_smoothing)
        case HingeParams():
            return partial(hinge_loss, margin=params.margin, power=params.power)
        case _:
            return partial(_between_scores_and_labels, regression_loss(params))


def regression_loss(params: RegressLossParams) -> PictureLoss:
    """Return the loss of params: from outputs and targets, (B,) or (B, O), to losses_B."""
    match params:
        case SquaredErrorParams():
            return partial(squared_error, reduction=params.reduction)
        case AbsoluteErrorParams():
            return partial(absolute_error, reduction=params.reduction)
        case SmoothL1Params():
            return partial(smooth_l1, beta=params.beta, reduction=params.reduction)


def labels_of(targets_B: Tensor, *, num_classes: int) -> Tensor:
    """Return labels_BK float32: 1 for the true class, 0 for every other."""
    classes_K = torch.arange(num_classes, device=targets_B.device)
    return (targets_B[:, None] == classes_K).float()


def smoothed(labels_BK: Tensor, smoothing: float) -> Tensor:
    """Return (1 - s) q + s / K: a share s of the certainty is given to all K classes alike.

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture, section 7.
    """
    if smoothing == 0.0:
        return labels_BK
    return (1.0 - smoothing) * labels_BK + smoothing / labels_BK.shape[1]


def cross_entropy(
    logits_BK: Tensor, labels_BK: Tensor, *, class_weights: Sequence[float] | None = None
) -> Tensor:
    """Return -Σ_k w_k q_k ln p_k of each picture, in nats; p is the softmax of the logits.

    With a hard label it is -w ln p of the true class: -ln 0.3 = 1.204.

    Args:
        logits_BK: what the network says.
        labels_BK: q, shares that sum to 1.
        class_weights: w, of each class; None: all 1.

    Source: Goodfellow et al. 2016, Deep Learning, section 6.2.2.3.
    """
    return -(_weighted(labels_BK, class_weights) * logits_BK.log_softmax(dim=1)).sum(dim=1)


def focal_loss(
    logits_BK: Tensor, labels_BK: Tensor, *, gamma: float, class_weights: Sequence[float] | None = None
) -> Tensor:
    """Return -Σ_k w_k q_k (1 - p_k)^γ ln p_k of each picture: what is easy counts little.

    γ = 0 gives the cross entropy; at γ = 2 a class with a score of 0.9 counts a hundredth of that.

    Args:
        logits_BK: what the network says.
        labels_BK: q, shares that sum to 1.
        gamma: γ, at least 0.
        class_weights: w, of each class; None: all 1.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, equations 4 and 5, for several classes.
    """
    log_scores_BK = logits_BK.log_softmax(dim=1)
    doubt_BK = (-torch.expm1(log_scores_BK)).clamp(min=_SMALLEST)  # 1 - p, exact where p is near 1
    return -(_weighted(labels_BK, class_weights) * doubt_BK**gamma * log_scores_BK).sum(dim=1)


def entropy(scores_BK: Tensor) -> Tensor:
    """Return -Σ_k p_k ln p_k of each row, in nats; 0 where all lies on one class, ln K where on all alike.

    Over ln 2 it is in bits: of 25 and 75 % 0.811.

    Source: Shannon 1948, A Mathematical Theory of Communication, section 6.
    """
    return -torch.xlogy(scores_BK, scores_BK).sum(dim=1)


def kl_divergence(logits_BK: Tensor, labels_BK: Tensor) -> Tensor:
    """Return Σ_k q_k ln(q_k / p_k) of each picture: cross entropy less the entropy of the labels.

    It is 0 where the scores p, the softmax of the logits, are the labels q, and has the slope of the cross
    entropy everywhere.

    Source: Kullback, Leibler 1951, On Information and Sufficiency.
    """
    return cross_entropy(logits_BK, labels_BK) - entropy(labels_BK)


def hinge_loss(logits_BK: Tensor, labels_BK: Tensor, *, margin: float, power: Literal[1, 2]) -> Tensor:
    """Return Σ_{k≠y} max(0, m - z_y + z_k)^p / K of each picture, with y the true class.

    It is 0 where the true class's logit z_y leads all others by the margin m.

    Args:
        logits_BK: z, what the network says.
        labels_BK: hard labels.
        margin: m, above 0.
        power: p.

    Source: Weston, Watkins 1999, Support Vector Machines for Multi-Class Pattern Recognition (the sum over
    all other classes); torch, `multi_margin_loss` (the power, and the mean over classes).
    """
    true_B1 = (labels_BK * logits_BK).sum(dim=1, keepdim=True)
    lacks_BK = (margin - true_B1 + logits_BK).clamp(min=0.0) ** power
    return ((1.0 - labels_BK) * lacks_BK).mean(dim=1)


def squared_error(outputs: Tensor, targets: Tensor, *, reduction: Reduction) -> Tensor:
    """Return (o - t)² of each picture, the mean (MSE) or sum (L2) over its outputs.

    Args:
        outputs: (B,) or (B, O).
        targets: the same.
        reduction: of the O outputs; B pictures stay apart.

    Source: Goodfellow et al. 2016, Deep Learning, section 5.1.4.
    """
    return _over_outputs((outputs - targets).square(), reduction)


def absolute_error(outputs: Tensor, targets: Tensor, *, reduction: Reduction) -> Tensor:
    """Return |o - t| of each picture, the mean (MAE) or sum (L1) over its outputs; arguments as above.

    Source: Goodfellow et al. 2016, Deep Learning, section 6.2.2 (its minimum is at the median).
    """
    return _over_outputs((outputs - targets).abs(), reduction)


def smooth_l1(outputs: Tensor, targets: Tensor, *, beta: float, reduction: Reduction) -> Tensor:
    """Return of each picture d² / 2β where d = |o - t| is below β, else d - β/2; mean or sum over outputs.

    At β = 1 it is 0.5 d² below 1 and d - 0.5 beyond.

    Args:
        outputs: (B,) or (B, O).
        targets: the same.
        beta: β, above 0, in the unit of the outputs.
        reduction: of the O outputs.

    Source: Girshick 2015, Fast R-CNN, equation 3; torch, `smooth_l1_loss`.
    """
    found = torch.nn.functional.smooth_l1_loss(outputs, targets, beta=beta, reduction="none")
    return _over_outputs(found, reduction)


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


def _smoothed_cross_entropy(
    smoothing: float, class_weights: Sequence[float] | None, logits_BK: Tensor, labels_BK: Tensor
) -> Tensor:
    return cross_entropy(logits_BK, smoothed(labels_BK, smoothing), class_weights=class_weights)


def _smoothed_kl_divergence(smoothing: float, logits_BK: Tensor, labels_BK: Tensor) -> Tensor:
    return kl_divergence(logits_BK, smoothed(labels_BK, smoothing))


def _between_scores_and_labels(distance: PictureLoss, logits_BK: Tensor, labels_BK: Tensor) -> Tensor:
    return distance(logits_BK.softmax(dim=1), labels_BK)


def _weighted(labels_BK: Tensor, class_weights: Sequence[float] | None) -> Tensor:
    if class_weights is None:
        return labels_BK
    return labels_BK * torch.tensor(class_weights, dtype=labels_BK.dtype, device=labels_BK.device)


def _over_outputs(values: Tensor, reduction: Reduction) -> Tensor:
    values_BO = values.reshape(len(values), -1)
    return values_BO.mean(dim=1) if reduction == "mean" else values_BO.sum(dim=1)
