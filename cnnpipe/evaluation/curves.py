"""Precision-recall and ROC curves of one class against the rest, and the numbers read from them.

Shapes: N samples, T points of a curve. Samples of equal score share one point, as in scikit-learn;
points that would not change the drawn line are dropped, which changes no area.

Source: T. Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006);
J. Davis, M. Goadrich, The relationship between Precision-Recall and ROC curves, ICML 2006.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from cnnpipe.evaluation.arrays import Bools, Floats, Ints, Scored
from cnnpipe.evaluation.average_precision import all_points_average_precision


class PrecisionRecallCurve(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Precision and recall at each threshold, lowest first; the last point (0, 1) has none (NaN)."""

    threshold: Floats  # (T,)
    precision: Floats  # (T,)
    recall: Floats  # (T,)
    break_even: float  # precision where it equals recall


class RocCurve(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """False and true positive rate at each threshold, highest first; the first, (0, 0), has none (NaN)."""

    threshold: Floats  # (T,)
    fpr: Floats  # (T,) FP / (FP + TN)
    tpr: Floats  # (T,) TP / (TP + FN)


class ClassCurves(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The curves of one class; None where they are undefined."""

    label: str
    precision_recall: PrecisionRecallCurve | None  # needs a sample of the class
    roc: RocCurve | None  # needs a sample of the class and one of another


def curves_of(scored: Scored) -> list[ClassCurves]:
    """Return the curves of every class against the rest."""
    found = []
    for index, label in enumerate(scored.classes):
        positive_N, scores_N = scored.truth == index, scored.scores[:, index]
        precision_recall = precision_recall_curve(positive_N, scores_N)
        roc = roc_curve(positive_N, scores_N)
        found.append(ClassCurves(label=label, precision_recall=precision_recall, roc=roc))
    return found


def precision_recall_curve(positive_N: Bools, scores_N: Floats) -> PrecisionRecallCurve | None:
    """Return precision over recall for every threshold; None without a positive sample."""
    if not positive_N.any():
        return None
    thresholds_T, hits_T, taken_T = _cumulated(positive_N, scores_N)
    # where no threshold around finds another positive, precision falls along a line that is drawn anyway
    is_kept_T = _has_turn(np.diff(hits_T, prepend=-1), np.diff(hits_T, append=-1))
    hits_T, taken_T, thresholds_T = hits_T[is_kept_T], taken_T[is_kept_T], thresholds_T[is_kept_T]
    return PrecisionRecallCurve(
        threshold=np.append(thresholds_T[::-1], np.nan),
        precision=np.append((hits_T / taken_T)[::-1], 1.0),
        recall=np.append((hits_T / hits_T[-1])[::-1], 0.0),
        break_even=break_even_point(positive_N, scores_N),
    )


def roc_curve(positive_N: Bools, scores_N: Floats) -> RocCurve | None:
    """Return the true over the false positive rate; None unless both kinds of sample exist."""
    if positive_N.all() or not positive_N.any():
        return None
    thresholds_T, hits_T, taken_T = _cumulated(positive_N, scores_N)
    alarms_T = taken_T - hits_T
    # a point on the line between its neighbours is not drawn
    is_kept_T = _has_turn(_bends(hits_T), _bends(alarms_T))
    return RocCurve(
        threshold=np.append(np.nan, thresholds_T[is_kept_T]),
        fpr=np.append(0.0, alarms_T[is_kept_T] / alarms_T[-1]),
        tpr=np.append(0.0, hits_T[is_kept_T] / hits_T[-1]),
    )


def average_precision(curve: PrecisionRecallCurve) -> float:
    """Return the area under the curve as a sum of steps, Σ (R(n) − R(n−1)) P(n).

    Nothing is interpolated between points, which would be too optimistic.

    Source: scikit-learn, `average_precision_score`.
    """
    return float(-np.sum(np.diff(curve.recall) * curve.precision[:-1]))


def interpolated_average_precision(curve: PrecisionRecallCurve) -> float:
    """Return the area under the curve's upper envelope, Σ max_{k'≥k} P(k') Δr(k)."""
    # the point (0, 1) stands for "nothing predicted": it is no point of the ranking
    return all_points_average_precision(recall_T=curve.recall[-2::-1], precision_T=curve.precision[-2::-1])


def break_even_point(positive_N: Bools, scores_N: Floats, *, num_positives: int | None = None) -> float:
    """Return precision where it equals recall: NaN without a positive, or with more of them than samples.

    TP / (TP + FP) = TP / (TP + FN) holds exactly when as many samples are predicted positive as are
    positive (or when TP = 0). So the best-scored samples are taken until there are that many: TP / (TP + FN)
    is then both. Where this cuts through samples of equal score, TP is interpolated in proportion to how many
    of them are taken, its mean over their orders; interpolating precision instead is not linear and would
    give constant scores more than their precision.

    Args:
        positive_N: which samples are positive; of a detector, which detections find an object.
        scores_N: theirs.
        num_positives: of a detector, how many objects there are, found or not; None: the sum of `positive_N`.

    Source: T. Joachims, Text Categorization with Support Vector Machines, ECML 1998 (break-even point);
    Davis and Goadrich 2006, section 4 (interpolation).
    """
    num_positives = int(positive_N.sum()) if num_positives is None else num_positives
    if not 0 < num_positives <= len(scores_N):
        return float("nan")
    cut = np.sort(scores_N)[-num_positives]  # the score at which the count is reached
    above, tied = scores_N > cut, scores_N == cut
    share_taken = (num_positives - above.sum()) / tied.sum()
    return float((positive_N[above].sum() + share_taken * positive_N[tied].sum()) / num_positives)


def roc_auc(curve: RocCurve) -> float:
    """Return the area under the curve by trapezoids.

    It is the probability that a positive sample scores above a negative one, ties counting one half.

    Source: Fawcett 2006, section 7.
    """
    return float(np.trapezoid(curve.tpr, curve.fpr))


def macro_roc(curves: Sequence[RocCurve], fpr_T: Floats) -> Floats:
    """Return the mean true positive rate of the curves at each `fpr_T` (vertical averaging): (T,).

    Source: Fawcett 2006, section 9.1.
    """
    return np.asarray(
        np.mean([_upper_interpolation(fpr_T, curve.fpr, curve.tpr) for curve in curves], axis=0)
    )


def macro_precision(curves: Sequence[PrecisionRecallCurve], recall_T: Floats) -> Floats:
    """Return the mean precision of the curves at each `recall_T`, by steps as in the area: (T,).

    A detector may reach no recall of 1: beyond the last of a curve its precision counts as 0.
    """
    rows = []
    for curve in curves:
        rising = curve.recall[::-1]
        rows.append(np.append(curve.precision[::-1], 0.0)[np.searchsorted(rising, recall_T, side="left")])
    return np.asarray(np.mean(rows, axis=0))


def _cumulated(positive_N: Bools, scores_N: Floats) -> tuple[Floats, Ints, Ints]:
    """Return each score once, highest first, and how many positives and samples have it or a higher one."""
    order_N = np.argsort(-scores_N, kind="stable")
    ranked_N = scores_N[order_N]
    is_last_N = np.diff(ranked_N, append=-np.inf) < 0
    hits_T: Ints = np.cumsum(positive_N[order_N], dtype=np.int64)[is_last_N]
    taken_T: Ints = np.flatnonzero(is_last_N).astype(np.int64) + 1
    return ranked_N[is_last_N], hits_T, taken_T


def _bends(counts_T: Ints) -> Ints:
    """Return how the steps to and from each point differ; those of the two ends count as different."""
    return np.concatenate([[1], np.diff(counts_T, n=2), [1]]) if len(counts_T) > 1 else np.ones(1, np.int64)


def _has_turn(one_T: Ints, other_T: Ints) -> Bools:
    return np.asarray((one_T != 0) | (other_T != 0))


def _upper_interpolation(x_T: Floats, known_x: Floats, known_y: Floats) -> Floats:
    """Interpolate a rising curve linearly; at a vertical piece take its upper end."""
    last = np.searchsorted(known_x, x_T, side="right") - 1
    following = np.minimum(last + 1, len(known_x) - 1)
    width = known_x[following] - known_x[last]
    share = np.divide(x_T - known_x[last], width, out=np.zeros_like(x_T), where=width > 0)
    return np.asarray(known_y[last] + share * (known_y[following] - known_y[last]))
