"""The tables that other tools read, and DVC draws: results/<exp>/*.csv.

Numbers have all their digits; what is undefined is an empty field.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from cnnpipe.evaluation.arrays import Floats, Ints
from cnnpipe.evaluation.curves import ClassCurves


def confusion_matrix_csv(confusion_KK: Ints, classes: Sequence[str]) -> str:
    """Return the counts with class names as header and first column; rows are the truth."""
    rows = ([label, *counts] for label, counts in zip(classes, confusion_KK.tolist(), strict=True))
    return _csv(["truth", *classes], rows)


def labels_csv(truth_N: Ints, predicted_N: Ints, classes: Sequence[str]) -> str:
    """Return truth and prediction of each of N, as names."""
    pairs = zip(truth_N, predicted_N, strict=True)
    return _csv(["actual", "predicted"], ([classes[truth], classes[predicted]] for truth, predicted in pairs))


def precision_recall_csv(curves: Sequence[ClassCurves]) -> str:
    """Return the points of every class's curve, lowest threshold first."""
    known = [(of.label, of.precision_recall) for of in curves if of.precision_recall]
    rows = (row for label, c in known for row in _points(label, c.threshold, c.precision, c.recall))
    return _csv(["class", "threshold", "precision", "recall"], rows)


def roc_csv(curves: Sequence[ClassCurves]) -> str:
    """Return the points of every class's curve, highest threshold first."""
    known = [(of.label, of.roc) for of in curves if of.roc]
    rows = (row for label, c in known for row in _points(label, c.threshold, c.fpr, c.tpr))
    return _csv(["class", "threshold", "fpr", "tpr"], rows)


def learning_curve_csv(history: Sequence[Mapping[str, float]]) -> str:
    """Return the lines of history.jsonl as columns, the epoch first."""
    names = list(dict.fromkeys(["epoch", *(name for epoch in history for name in epoch)]))
    return _csv(names, ([epoch.get(name) for name in names] for epoch in history))


def _points(label: str, *columns: Floats) -> Iterable[Sequence[object]]:
    for values in zip(*(column.tolist() for column in columns), strict=True):
        yield [label, *(value if math.isfinite(value) else None for value in values)]


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
