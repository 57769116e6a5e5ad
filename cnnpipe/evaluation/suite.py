"""Every number that is reported of a classifier, under its flat name.

`<metric>` is over all classes, `<metric>/<class>` of one class against the rest, and `<name>/ci_low`,
`<name>/ci_high` the ends of a metric's interval. What is undefined is absent: JSON has no NaN.
"""

import math
from collections.abc import Mapping

import numpy as np

from cnnpipe.evaluation import calibration, confusion, curves, intervals
from cnnpipe.evaluation.arrays import Bools, Scored


def classification_metrics(
    scored: Scored, *, seed: int, num_resamples: int, confidence: float
) -> dict[str, float]:
    """Return every metric that is defined, by name; intervals where there are two groups at least.

    Args:
        scored: at least one sample.
        seed: of the bootstrap.
        num_resamples: of the bootstrap.
        confidence: share of the resamples inside an interval, e.g. 0.95.
    """
    found = metrics_without_intervals(scored)
    if intervals.has_intervals(scored.group):
        drawn = intervals.bootstrap(scored, num_resamples=num_resamples, seed=seed)
        found |= _finite(intervals.interval_ends(drawn, confidence=confidence))
    return found


def metrics_without_intervals(scored: Scored) -> dict[str, float]:
    """Return every metric that is defined, by name, of at least one sample."""
    return _finite(_counted(scored) | _ranked(scored) | _calibrated(scored))


def undefined_notes(scored: Scored) -> list[str]:
    """Return one sentence for each reason why metrics are absent; it begins in lower case."""
    matrix = confusion.confusion_matrix(scored.truth, scored.predicted, num_classes=len(scored.classes))
    notes = []
    if missing := _names(scored, matrix.sum(axis=1) == 0):
        notes.append(
            f"no sample of {missing}: no recall, F1 or curve there, and no part in any mean over classes."
        )
    if never := _names(scored, (matrix.sum(axis=0) == 0) & (matrix.sum(axis=1) > 0)):
        notes.append(f"never predicted: {never}. Precision is undefined there and counts as 0 in means.")
    if (matrix.sum(axis=1) > 0).sum() == 1:
        notes.append("all samples are of one class: there is no ROC curve and no specificity to measure.")
    if not intervals.has_intervals(scored.group):
        notes.append("all samples belong to one group: there are no confidence intervals.")
    return notes


def _finite(found: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _names(scored: Scored, chosen_K: Bools) -> str:
    return ", ".join(label for label, chosen in zip(scored.classes, chosen_K, strict=True) if chosen)


def _counted(scored: Scored) -> dict[str, float]:
    """Metrics of the confusion matrix."""
    matrix = confusion.confusion_matrix(scored.truth, scored.predicted, num_classes=len(scored.classes))
    per_class = {
        "precision": confusion.precision(matrix),
        "recall": confusion.recall(matrix),
        "f1": confusion.f1(matrix),
        "specificity": confusion.specificity(matrix),
        "negative_precision": confusion.negative_precision(matrix),
    }
    accuracy = float(confusion.accuracy(matrix))
    found = {"accuracy": accuracy}
    for name in ("precision", "recall", "f1"):
        found[f"{name}_micro"] = accuracy  # one label per sample: every FP of one class is an FN of another
        found[f"{name}_macro"] = float(confusion.macro(per_class[name], matrix))
        found[f"{name}_weighted"] = float(confusion.weighted(per_class[name], matrix))
    for name, values_K in per_class.items():
        found |= {f"{name}/{label}": float(values_K[index]) for index, label in enumerate(scored.classes)}
    return found


def _ranked(scored: Scored) -> dict[str, float]:
    """Metrics of the curves; their macro means are over the classes where they are defined."""
    found: dict[str, dict[str, float]] = {}
    for of_class in curves.curves_of(scored):
        if curve := of_class.precision_recall:
            interpolated = curves.interpolated_average_precision(curve)
            found.setdefault("average_precision", {})[of_class.label] = curves.average_precision(curve)
            found.setdefault("average_precision_interpolated", {})[of_class.label] = interpolated
            found.setdefault("break_even", {})[of_class.label] = curve.break_even
        if of_class.roc:
            found.setdefault("roc_auc", {})[of_class.label] = curves.roc_auc(of_class.roc)
    flat = {f"{name}/{label}": value for name, values in found.items() for label, value in values.items()}
    means = {f"{name}_macro": float(np.mean(list(values.values()))) for name, values in found.items()}
    return means | flat


def _calibrated(scored: Scored) -> dict[str, float]:
    bins = calibration.reliability(scored.truth, scored.scores)
    return {
        "log_loss": calibration.log_loss(scored.truth, scored.scores),
        "calibration_error": calibration.calibration_error(bins),
    }
