"""The objective of classification: a loss between logits and labels, and what may be learnt beside it.

Legend: B batch, C channels, H W pixels, K classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from cnnpipe.evaluation import confusion
from cnnpipe.evaluation.arrays import Floats, Ints, Scored
from cnnpipe.evaluation.suite import metrics_without_intervals
from cnnpipe.inference.forward import Normalise, forward_batches, softmax, to_network
from cnnpipe.models.outputs import logits_and_auxiliaries
from cnnpipe.params.augmentation import MixParams
from cnnpipe.params.losses import ClassifyLossParams
from cnnpipe.training.distillation import Teacher, distillation_loss, teacher_logits
from cnnpipe.training.losses import PictureLoss, classification_loss, finite_on_val, labels_of
from cnnpipe.training.mixing import Mixing, draw_mixing, mix_labels, mix_pictures
from cnnpipe.training.objective import Objective

Batch = tuple[Tensor, Tensor]  # pictures_BCHW uint8, targets_B


@dataclass(frozen=True)
class Further:
    """What a classifier is taught by beside its loss, and judged by; all may be left out."""

    class_weights: Sequence[float] | None = None  # of each class in the loss
    auxiliary_weight: float = 0.0  # of the loss of each auxiliary classifier
    mix: MixParams | None = None
    teacher: Teacher | None = None
    watch: str = "loss"  # a metric of val
    classes: Sequence[str] = ()  # by name, for metrics of one class


def classification_objective(
    normalise: Normalise, loss: ClassifyLossParams, further: Further | None = None
) -> Objective[Batch]:
    """Return the objective of a classifier.

    Its parts are means over the pictures: the loss under its name in params, and where there are such,
    "auxiliary" and "distillation". Auxiliary classifiers learn from the labels alone.

    Args:
        normalise: from uint8 to what the network sees.
        loss: what training makes small.
        further: what is learnt beside it, and what val is judged by.
    """
    further = further or Further()
    of_labels = classification_loss(loss, class_weights=further.class_weights)
    return Objective(
        losses=partial(_losses, normalise=normalise, name=loss.name, of_labels=of_labels, further=further),
        judge=partial(judge, normalise=normalise, watch=further.watch, classes=further.classes),
    )


def judge(  # noqa: PLR0913 (the objective's three, and what it is judged by)
    network: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    *,
    normalise: Normalise,
    watch: str = "loss",
    classes: Sequence[str] = (),
) -> dict[str, float]:
    """Return loss, accuracy and f1_macro of the network on val, and the watched metric.

    The loss is the cross entropy without label smoothing, whatever is trained by, so that it compares between
    experiments. A watched metric that is undefined as yet, as the precision of a class that is never
    predicted, is 0.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    logits_NK, targets_N = forward_batches(network, batches, normalise, device=device)
    loss = float(nn.functional.cross_entropy(torch.from_numpy(logits_NK), torch.from_numpy(targets_N)))
    finite_on_val(loss)
    matrix = confusion.confusion_matrix(targets_N, logits_NK.argmax(axis=1), num_classes=logits_NK.shape[1])
    found = {
        "loss": loss,
        "accuracy": float(confusion.accuracy(matrix)),
        "f1_macro": float(confusion.macro(confusion.f1(matrix), matrix)),
    }
    if watch not in found:
        scored = _scored(classes, targets_N, softmax(logits_NK))
        found[watch] = metrics_without_intervals(scored).get(watch, 0.0)
    return found


def watchable(classes: Sequence[str], labels: Iterable[str]) -> list[str]:
    """Return the metrics that are defined on val, once every class is predicted.

    Args:
        classes: in the order of the outputs.
        labels: of the pictures of val, at least one.
    """
    index_of = {label: index for index, label in enumerate(classes)}
    targets_N = np.array([index_of[label] for label in labels], dtype=np.int64)
    perfect_NK = np.eye(len(classes))[targets_N]
    return ["loss", *metrics_without_intervals(_scored(classes, targets_N, perfect_NK))]


def _scored(classes: Sequence[str], targets_N: Ints, scores_NK: Floats) -> Scored:
    group_N = np.zeros_like(targets_N)  # of intervals, which there are none of
    return Scored(classes=tuple(classes), truth=targets_N, scores=scores_NK, group=group_N)


def _losses(  # noqa: PLR0913 (the objective's three, and what it is made of)
    network: nn.Module,
    batch: Batch,
    device: torch.device,
    *,
    normalise: Normalise,
    name: str,
    of_labels: PictureLoss,
    further: Further,
) -> Mapping[str, Tensor]:
    pictures_BCHW, targets_B = batch
    mixing = None if further.mix is None else draw_mixing(further.mix, len(pictures_BCHW))
    seen_BCHW = to_network(pictures_BCHW, normalise, device=device)
    if mixing is not None:
        seen_BCHW = mix_pictures(seen_BCHW, mixing)
    logits_BK, auxiliaries = logits_and_auxiliaries(network(seen_BCHW))
    labels_BK = _labels(targets_B.to(device, non_blocking=True), mixing, logits_BK, seen_BCHW)
    parts = {name: of_labels(logits_BK, labels_BK).mean()}
    if auxiliaries and further.auxiliary_weight > 0.0:
        of_each = torch.stack([of_labels(aux_BK, labels_BK).mean() for aux_BK in auxiliaries])
        parts["auxiliary"] = further.auxiliary_weight * of_each.sum()
    if further.teacher is None:
        return parts
    teacher_BK = teacher_logits(further.teacher, pictures_BCHW, mixing, device=device)
    return _with_teacher(parts, name, logits_BK, teacher_BK, further.teacher)


def _labels(targets_B: Tensor, mixing: Mixing | None, logits_BK: Tensor, seen_BCHW: Tensor) -> Tensor:
    labels_BK = labels_of(targets_B, num_classes=logits_BK.shape[1])
    if mixing is None:
        return labels_BK
    height, width = seen_BCHW.shape[2:]
    return mix_labels(labels_BK, mixing, width=width, height=height)


def _with_teacher(
    parts: Mapping[str, Tensor], name: str, logits_BK: Tensor, teacher_BK: Tensor, teacher: Teacher
) -> dict[str, Tensor]:
    """Return the parts where the labels' share of the loss goes to the teacher."""
    taught_B = distillation_loss(logits_BK, teacher_BK, temperature=teacher.temperature)
    return {
        **parts,
        name: (1.0 - teacher.share) * parts[name],
        "distillation": teacher.share * taught_B.mean(),
    }
