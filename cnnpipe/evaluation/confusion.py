"""The confusion matrix and everything that is counted from it.

Shapes: N samples, K classes; `...` stands for any leading axes, e.g. the resamples of a bootstrap.
For one class against the rest, TP, FP, FN and TN are the true and false positives and negatives.

Two rules hold throughout:

- A ratio 0/0 is undefined: it is NaN here, and left out (never written as 0) by who reports it.
- A class without a sample has no recall and no F1, and is left out of every mean. A class with
  samples that is never predicted has no precision, but counts as 0 in the means: leaving a class
  unpredicted must not raise them. (scikit-learn: `labels=` the classes with samples, `zero_division=0`.)

Source: M. Sokolova, G. Lapalme, A systematic analysis of performance measures for classification
tasks, Information Processing & Management 45 (2009), tables 2 and 3.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cnnpipe.evaluation.arrays import Floats, Ints, ratio

Counts: TypeAlias = npt.NDArray[np.number]  # whole numbers; of resamples, held as floats


def confusion_matrix(truth_N: Ints, predicted_N: Ints, *, num_classes: int) -> Ints:
    """Return how often each class was taken for each: (K, K), rows are the truth."""
    cells_N = truth_N * num_classes + predicted_N
    return np.bincount(cells_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def accuracy(confusion_KK: Counts) -> Floats:
    """Return the share of samples on the diagonal, (...); it equals precision, recall and F1 micro."""
    return ratio(_hits(confusion_KK).sum(axis=-1), confusion_KK.sum(axis=(-2, -1)))


def support(confusion_KK: Counts) -> Counts:
    """Return the samples of each class, TP + FN: (..., K)."""
    return np.asarray(confusion_KK.sum(axis=-1))


def precision(confusion_KK: Counts) -> Floats:
    """Return TP / (TP + FP) of each class: (..., K); NaN where it is never predicted."""
    return ratio(_hits(confusion_KK), confusion_KK.sum(axis=-2))


def recall(confusion_KK: Counts) -> Floats:
    """Return TP / (TP + FN) of each class: (..., K); NaN where it has no sample."""
    return ratio(_hits(confusion_KK), support(confusion_KK))


def f1(confusion_KK: Counts) -> Floats:
    """Return 2 TP / (2 TP + FP + FN) of each class: (..., K); NaN where it has no sample.

    It is the harmonic mean of precision and recall, and 0 for a class that is never found.
    """
    sizes = support(confusion_KK)
    scores = ratio(2 * _hits(confusion_KK), sizes + confusion_KK.sum(axis=-2))
    return np.where(sizes > 0, scores, np.nan)


def specificity(confusion_KK: Counts) -> Floats:
    """Return TN / (TN + FP) of each class: (..., K); NaN where every sample is of the class."""
    others = confusion_KK.sum(axis=(-2, -1))[..., None] - support(confusion_KK)
    return ratio(_rejections(confusion_KK), others)


def negative_precision(confusion_KK: Counts) -> Floats:
    """Return TN / (TN + FN) of each class, the precision of "not this class": (..., K).

    NaN where every sample is predicted as the class.
    """
    refused = confusion_KK.sum(axis=(-2, -1))[..., None] - confusion_KK.sum(axis=-2)
    return ratio(_rejections(confusion_KK), refused)


def macro(values_K: Floats, confusion_KK: Counts) -> Floats:
    """Return the mean over the classes that have samples, undefined values counting as 0: (...)."""
    return _mean(values_K, (support(confusion_KK) > 0).astype(np.float64))


def weighted(values_K: Floats, confusion_KK: Counts) -> Floats:
    """Return the mean weighted by the samples of each class, undefined values counting as 0: (...)."""
    return _mean(values_K, support(confusion_KK).astype(np.float64))


def _hits(confusion_KK: Counts) -> Counts:
    """TP of each class: (..., K)."""
    return np.diagonal(confusion_KK, axis1=-2, axis2=-1)


def _rejections(confusion_KK: Counts) -> Counts:
    """TN of each class: (..., K)."""
    total = confusion_KK.sum(axis=(-2, -1))[..., None]
    return np.asarray(total - support(confusion_KK) - confusion_KK.sum(axis=-2) + _hits(confusion_KK))


def _mean(values_K: Floats, weights_K: Floats) -> Floats:
    weighted_K = np.where(weights_K > 0, np.nan_to_num(values_K, nan=0.0), 0.0) * weights_K
    return ratio(weighted_K.sum(axis=-1), weights_K.sum(axis=-1))
