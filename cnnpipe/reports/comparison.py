"""The page that puts experiments side by side: comparison/compare.html."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.evaluation.comparison import ComparedExperiment, Comparison, Measured, PairedDifference
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.reports.bars_plot import bars_svg
from cnnpipe.reports.definitions import OVERALL, Definition
from cnnpipe.reports.pages import inline_svg, render

_SMALLER_IS_BETTER: Final = frozenset({"log_loss", "calibration_error"})


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one experiment says of a picture."""

    experiment: str
    label: str
    score: float
    is_right: bool


class JudgedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A test picture with every experiment's answer."""

    image_id: str
    region: int | None
    truth: str
    picture: str  # `data:` address
    answers: list[Answer]


class ComparisonReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page shows; mappings are by the name of the experiment."""

    comparison: Comparison
    params: CompareParams
    metrics: Mapping[str, Mapping[str, float]]  # of each metrics.json
    settings: Mapping[str, Mapping[str, Any]]  # the params of each training, flattened with dots
    num_samples: Mapping[str, int]  # of test
    classes: Sequence[str]
    pictures: Sequence[JudgedPicture]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of every experiment, in their order."""

    name: str
    definition: Definition | None  # None: `name` is a class
    values: list[float | None]
    best: float | None


def comparison_page(report: ComparisonReport) -> str:
    """Return the page as self-contained HTML."""
    experiments = report.comparison.experiments
    return render(
        "comparison.html",
        experiments=experiments,
        pairs=report.comparison.pairs,
        is_clear=is_clear,
        notes=report.comparison.notes,
        metric=OVERALL[experiments[0].metric],
        summary=_summary(report.comparison),
        bars=inline_svg(_bars(experiments), name="bars"),
        confidence=f"{100 * report.params.confidence:g} %",
        params=report.params,
        num_samples=report.num_samples,
        overall=[_row(report, name, definition) for name, definition in OVERALL.items()],
        classes=[_row(report, f"f1/{label}", None, shown_as=label) for label in report.classes],
        pictures=report.pictures,
        settings=_differing(report.settings),
        definitions=OVERALL,
    )


def _summary(comparison: Comparison) -> str:
    """Say in words who leads and whether the lead over the next is more than chance."""
    first = comparison.experiments[0]
    if first.val is None or first.test is None:
        return f"No experiment has a value of {first.metric} on val and test."
    said = f"{first.name} is first on val ({first.val.value:.3f}) and has {first.test.value:.3f} on test."
    lead = next((pair for pair in comparison.pairs if pair.first == first.name), None)
    if lead is None or lead.difference.ci_low is None or lead.difference.ci_high is None:
        return said
    measured = (
        f"{lead.difference.value:+.3f} ({lead.difference.ci_low:+.3f} to {lead.difference.ci_high:+.3f})"
    )
    verdict = "more than chance explains" if is_clear(lead) else "no more than chance may explain"
    return f"{said} Against {lead.second}, the difference on test is {measured}: {verdict}."


def is_clear(pair: PairedDifference) -> bool:
    """Return whether the interval of a difference leaves out 0."""
    low, high = pair.difference.ci_low, pair.difference.ci_high
    return low is not None and high is not None and not low <= 0.0 <= high


def _bars(experiments: Sequence[ComparedExperiment]) -> str:
    series: dict[str, list[Measured | None]] = {
        "val": [one.val for one in experiments],
        "test": [one.test for one in experiments],
    }
    return bars_svg([one.name for one in experiments], series, xlabel=experiments[0].metric)


def _row(
    report: ComparisonReport, name: str, definition: Definition | None, *, shown_as: str | None = None
) -> _Row:
    values = [report.metrics[one.name].get(f"test/{name}") for one in report.comparison.experiments]
    known = [value for value in values if value is not None]
    choose = min if name in _SMALLER_IS_BETTER else max
    return _Row(
        name=shown_as or name,
        definition=definition,
        values=values,
        best=choose(known) if len(known) > 1 else None,
    )


def _differing(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the params whose values are not the same everywhere; "–" where there is none."""
    names = sorted({name for values in settings.values() for name in values})
    rows = {name: [values.get(name, "–") for values in settings.values()] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}
