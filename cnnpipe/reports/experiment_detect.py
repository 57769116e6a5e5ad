"""The page of a detection experiment: results/<exp>/report.html."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from cnnpipe.reports.definitions_detect import DETECT_OF_A_CLASS, DETECT_OVERALL, SIZES
from cnnpipe.reports.experiment import ExperimentReport, shared_values, values_of_class
from cnnpipe.reports.pages import render
from cnnpipe.reports.scenes import MEANINGS, STROKES, Scene

_HEADLINES: Final = ("map_50", "map_50_95", "recall_macro", "f1_macro")


class DetectReport(ExperimentReport, frozen=True, kw_only=True):
    """Everything the page shows. Sequences are in the order of model.classes."""

    num_objects: Sequence[int]  # of test
    num_reported: Sequence[int]  # detections from the thresholds on
    objects_by_size: Mapping[str, int]  # of test, by the keys of SIZES
    num_faulty: int  # test pictures with a miss, a false alarm or a wrong class
    scenes: Sequence[Scene]


class _ClassRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of classes; its values are in the order of DETECT_OF_A_CLASS."""

    label: str
    num_objects: int
    num_reported: int
    threshold: float
    values: list[float | None]


class _SizeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of sizes."""

    name: str
    range: str
    num_objects: int
    precision: float | None  # AP
    recall: float | None  # AR


def detect_page(report: DetectReport) -> str:
    """Return the page as self-contained HTML."""
    shared = shared_values(report, DETECT_OVERALL, headlines=_HEADLINES)
    return render(
        "experiment_detect.html",
        **shared
        | {
            "classes": _class_rows(report),
            "of_a_class": DETECT_OF_A_CLASS,
            "sizes": [_size_row(report, name) for name in SIZES],
            "strokes": STROKES,
            "meanings": MEANINGS,
        },
    )


def _class_rows(report: DetectReport) -> list[_ClassRow]:
    columns = zip(report.model.classes, report.num_objects, report.num_reported, strict=True)
    return [
        _ClassRow(
            label=label,
            num_objects=num_objects,
            num_reported=num_reported,
            threshold=report.model.thresholds[label],
            values=values_of_class(report.metrics, label, list(DETECT_OF_A_CLASS)),
        )
        for label, num_objects, num_reported in columns
    ]


def _size_row(report: DetectReport, name: str) -> _SizeRow:
    return _SizeRow(
        name=name,
        range=SIZES[name],
        num_objects=report.objects_by_size[name],
        precision=report.metrics.get(f"test/map_{name}"),
        recall=report.metrics.get(f"test/ar_{name}"),
    )
