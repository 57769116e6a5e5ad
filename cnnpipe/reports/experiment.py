"""What the page of an experiment shows whatever its task: results/<exp>/report.html."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.evaluation.comparison import Measured, measured
from cnnpipe.models.bundle import ModelSpec
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports.definitions import Definition
from cnnpipe.reports.pages import inline_svg
from cnnpipe.training.records import RunRecord, StopReason

_STOPS: Final[Mapping[StopReason, str]] = {
    "epochs": "all that were asked for",
    "early_stopping": "stopped early, as val no longer grew",
    "loss_below": "stopped, as the loss of train was below stop.loss_below",
    "steps": "stopped after stop.steps",
    "minutes": "stopped after stop.minutes of the clock",
}


class ExperimentReport(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a page that experiments of all tasks have."""

    name: str
    run: RunRecord
    model: ModelSpec
    params: EvaluateParams
    metrics: Mapping[str, float]  # of metrics.json
    notes: Sequence[str]
    num_samples: Mapping[str, int]  # of val and test
    num_epochs: int
    figures: Mapping[str, str]  # name -> SVG


class OverallRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of metrics over all classes."""

    definition: Definition
    is_headline: bool
    val: Measured | None
    test: Measured | None


def shared_values(
    report: ExperimentReport, overall: Mapping[str, Definition], *, headlines: Sequence[str]
) -> dict[str, Any]:
    """Return what the template of a page needs, whatever the task.

    Args:
        report: its fields are values of their own.
        overall: the metrics over all classes, by name.
        headlines: those that stand in the tiles at the top.
    """
    shared: dict[str, Any] = {field: getattr(report, field) for field in report.__struct_fields__}
    return shared | {
        "figures": {name: inline_svg(svg, name=name) for name, svg in report.figures.items()},
        "overall": [
            OverallRow(
                definition=definition,
                is_headline=name in headlines,
                val=measured(report.metrics, f"val/{name}"),
                test=measured(report.metrics, f"test/{name}"),
            )
            for name, definition in overall.items()
        ],
        "definitions_overall": overall,
        "confidence": f"{100 * report.params.confidence:g} %",
        "stop": "; ".join([_STOPS[report.run.stop_reason], *report.run.incidents]),
        "settings": _settings(report),
    }


def values_of_class(metrics: Mapping[str, float], label: str, names: Sequence[str]) -> list[float | None]:
    """Return the metrics of one class on test, None where one is undefined."""
    return [metrics.get(f"test/{name}/{label}") for name in names]


def _settings(report: ExperimentReport) -> dict[str, Any]:
    judged = {f"evaluate.{name}": value for name, value in report.params.model_dump().items()}
    return dict(sorted(report.run.params.items())) | judged
