"""The page of a classification experiment: results/<exp>/report.html."""

from collections.abc import Sequence
from typing import Final

import msgspec

from cnnpipe.reports.definitions import OF_A_CLASS, OVERALL
from cnnpipe.reports.experiment import ExperimentReport, shared_values, values_of_class
from cnnpipe.reports.pages import render

_HEADLINES: Final = ("accuracy", "recall_macro", "f1_macro", "roc_auc_macro")


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """A test sample that was classified wrongly."""

    image_id: str
    region: int | None
    truth: str
    predicted: str
    score: float  # of the predicted class
    score_of_truth: float
    picture: str  # `data:` address


class ClassifyReport(ExperimentReport, frozen=True, kw_only=True):
    """Everything the page shows."""

    class_sizes: Sequence[int]  # test samples, in the order of model.classes
    num_mistakes: int
    mistakes: Sequence[Mistake]


class _ClassRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of classes; its values are in the order of OF_A_CLASS."""

    label: str
    num_samples: int
    values: list[float | None]


def classify_page(report: ClassifyReport) -> str:
    """Return the page as self-contained HTML."""
    shared = shared_values(report, OVERALL, headlines=_HEADLINES)
    sizes = zip(report.model.classes, report.class_sizes, strict=True)
    classes = [
        _ClassRow(
            label=label,
            num_samples=num_samples,
            values=values_of_class(report.metrics, label, list(OF_A_CLASS)),
        )
        for label, num_samples in sizes
    ]
    return render("experiment_classify.html", **shared | {"classes": classes, "of_a_class": OF_A_CLASS})
