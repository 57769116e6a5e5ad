"""The page that puts experiments side by side: comparison/compare.html."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cnnpipe.evaluation.comparison import ComparedExperiment, Measured, PairedDifference
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.watching import is_better_when_smaller
from cnnpipe.reports.bars_plot import bars_svg
from cnnpipe.reports.contenders import Answers
from cnnpipe.reports.definitions import Definition
from cnnpipe.reports.pages import inline_svg, render
from cnnpipe.reports.scenes import MEANINGS, STROKES


class TaskSection(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Everything the page shows of one task; mappings are by the name of the experiment, in order of rank."""

    task: str
    experiments: Sequence[ComparedExperiment]  # one at least
    pairs: Sequence[PairedDifference]
    answers: Answers
    metrics: Mapping[str, Mapping[str, float]]  # of each metrics.json
    settings: Mapping[str, Mapping[str, Any]]  # the params of each training, flattened with dots


class ComparisonReport(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Everything the page shows."""

    sections: Sequence[TaskSection]
    notes: Sequence[str]
    params: CompareParams


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of every experiment, in their order."""

    name: str
    definition: Definition | None  # None: `name` is a class
    values: list[float | None]
    best: float | None


def comparison_page(report: ComparisonReport) -> str:
    """Return the page as self-contained HTML."""
    return render(
        "comparison.html",
        sections=[_section(section) for section in report.sections],
        num_experiments=sum(len(section.experiments) for section in report.sections),
        is_clear=is_clear,
        notes=report.notes,
        confidence=f"{100 * report.params.confidence:g} %",
        params=report.params,
        strokes=STROKES,
        meanings=MEANINGS,
    )


def _section(section: TaskSection) -> dict[str, Any]:
    """Return what the template needs of one task."""
    words = section.answers.words
    return {
        "task": section.task,
        "words": words,
        "experiments": section.experiments,
        "pairs": section.pairs,
        "metric": words.overall[section.experiments[0].metric],
        "summary": _summary(section),
        "bars": inline_svg(_bars(section.experiments, is_share=words.is_share), name=f"bars-{section.task}"),
        "num_samples": {name: of.num_samples for name, of in section.answers.resampled.items()},
        "overall": [_row(section, name, definition) for name, definition in words.overall.items()],
        "classes": [
            _row(section, f"{words.of_a_class}/{label}", None, shown_as=label)
            for label in section.answers.classes
        ],
        "pictures": section.answers.pictures,
        "scenes": section.answers.scenes,
        "settings": _differing(section.settings),
    }


def _summary(section: TaskSection) -> str:
    """Say in words who leads and whether the lead over the next is more than chance."""
    first = section.experiments[0]
    if first.val is None or first.test is None:
        return f"No experiment has a value of {first.metric} on val and test."
    said = f"{first.name} is first on val ({first.val.value:.3f}) and has {first.test.value:.3f} on test."
    if is_better_when_smaller(first.metric):
        said = f"{said} Smaller is better."
    lead = next((pair for pair in section.pairs if pair.first == first.name), None)
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


def _bars(experiments: Sequence[ComparedExperiment], *, is_share: bool) -> str:
    series: dict[str, list[Measured | None]] = {
        "val": [one.val for one in experiments],
        "test": [one.test for one in experiments],
    }
    names = [one.name for one in experiments]
    return bars_svg(names, series, xlabel=experiments[0].metric, is_share=is_share)


def _row(
    section: TaskSection, name: str, definition: Definition | None, *, shown_as: str | None = None
) -> _Row:
    values = [section.metrics[one.name].get(f"test/{name}") for one in section.experiments]
    known = [value for value in values if value is not None]
    choose = min if is_better_when_smaller(name) else max
    return _Row(
        name=shown_as or name,
        definition=definition,
        values=values,
        best=choose(known) if len(set(known)) > 1 else None,
    )


def _differing(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the params whose values are not the same everywhere; "–" where there is none."""
    names = sorted({name for values in settings.values() for name in values})
    rows = {name: [values.get(name, "–") for values in settings.values()] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}
