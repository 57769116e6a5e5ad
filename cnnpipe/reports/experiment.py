"""The page of one experiment: results/<exp>/report.html."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.evaluation.comparison import Measured, measured
from cnnpipe.models.bundle import ModelSpec
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports.definitions import OF_A_CLASS, OVERALL, Definition
from cnnpipe.reports.pages import inline_svg, render
from cnnpipe.training.records import RunRecord

_HEADLINES: Final = ("accuracy", "recall_macro", "f1_macro", "roc_auc_macro")
_STOPS: Final[Mapping[str, str]] = {
    "epochs": "all that were asked for",
    "early_stopping": "stopped early, as val no longer grew",
}


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """A test sample that was classified wrongly."""

    image_id: str
    region: int | None
    truth: str
    predicted: str
    score: float  # of the predicted class
    score_of_truth: float
    picture: str  # `data:` address


class ExperimentReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page shows."""

    name: str
    run: RunRecord
    model: ModelSpec
    params: EvaluateParams
    metrics: Mapping[str, float]  # of metrics.json
    notes: Sequence[str]
    num_samples: Mapping[str, int]  # of val and test
    class_sizes: Sequence[int]  # test samples, in the order of model.classes
    num_mistakes: int
    mistakes: Sequence[Mistake]
    num_epochs: int
    figures: Mapping[str, str]  # name -> SVG, as of `plots.classification_figures`


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of metrics over all classes."""

    definition: Definition
    is_headline: bool
    val: Measured | None
    test: Measured | None


class _ClassRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of classes; its values are in the order of OF_A_CLASS."""

    label: str
    num_samples: int
    values: list[float | None]


def experiment_page(report: ExperimentReport) -> str:
    """Return the page as self-contained HTML."""
    shared: dict[str, Any] = {field: getattr(report, field) for field in report.__struct_fields__}
    return render(
        "experiment.html",
        **shared
        | {
            "figures": {name: inline_svg(svg, name=name) for name, svg in report.figures.items()},
            "overall": _overall(report.metrics),
            "classes": _classes(report),
            "of_a_class": OF_A_CLASS,
            "definitions_overall": OVERALL,
            "confidence": f"{100 * report.params.confidence:g} %",
            "stop": _STOPS[report.run.stop_reason],
            "settings": _settings(report),
        },
    )


def _overall(metrics: Mapping[str, float]) -> list[_Row]:
    return [
        _Row(
            definition=definition,
            is_headline=name in _HEADLINES,
            val=measured(metrics, f"val/{name}"),
            test=measured(metrics, f"test/{name}"),
        )
        for name, definition in OVERALL.items()
    ]


def _classes(report: ExperimentReport) -> list[_ClassRow]:
    return [
        _ClassRow(
            label=label,
            num_samples=num_samples,
            values=[report.metrics.get(f"test/{name}/{label}") for name in OF_A_CLASS],
        )
        for label, num_samples in zip(report.model.classes, report.class_sizes, strict=True)
    ]


def _settings(report: ExperimentReport) -> dict[str, Any]:
    judged = {f"evaluate.{name}": value for name, value in report.params.model_dump().items()}
    return dict(sorted(report.run.params.items())) | judged
