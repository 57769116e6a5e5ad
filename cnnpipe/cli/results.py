"""The table of results for a person's terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnpipe import files, paths
from cnnpipe.evaluation.comparison import ComparedExperiment, Comparison, Measured
from cnnpipe.evaluation.promotion import Decision, Registered

_MARK: Final = "*"  # of a champion


class Champion(NamedTuple):
    """Who is champion of a task, by the last decision."""

    task: str
    experiment: str
    version: int | None
    is_current: bool  # it is among the experiments as they are now, and not an older training


def champions_of(decision: Path, registered: Path) -> list[Champion]:
    """Return the champion of each task; none where no gate has decided yet.

    Args:
        decision: decision.json; need not exist.
        registered: registered.json; the same.

    Raises:
        DataError: one of them is broken.
    """
    if not decision.exists() or not registered.exists():
        return []
    signatures = files.read_json(registered, Registered).experiments
    return [
        Champion(
            task=one.task,
            experiment=one.champion.experiment,
            version=one.champion.version,
            is_current=signatures.get(one.champion.experiment) == one.champion.signature,
        )
        for one in files.read_json(decision, Decision).tasks.values()
    ]


def print_table(
    comparison: Comparison, seconds: Mapping[str, float], champions: Sequence[Champion] = ()
) -> None:
    """Print every experiment by rank, then where to look next.

    Args:
        comparison: the content of comparison/compare.json.
        seconds: wall time of the last run of each stage on this machine, by address (train@lenet).
        champions: by the last decision.
    """
    console = Console()
    marked = {one.experiment for one in champions if one.is_current}
    console.print(_table(comparison.experiments, seconds, marked))
    if marked:
        console.print(Text(f"{_MARK} champion of its task, see {paths.DECISION}"))
    for one in champions:
        if not one.is_current:
            older = f"champion of {one.task}: an older training of {one.experiment} (version {one.version})"
            console.print(Text(f"{older}, see {paths.DECISION}"))
    for note in comparison.notes:
        console.print(Text(f"note: {note}"))
    console.print(Text(_where(comparison.experiments)), soft_wrap=True)


def _table(experiments: list[ComparedExperiment], seconds: Mapping[str, float], marked: set[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")  # fits 80 columns with the demo
    for heading in ("experiment", "task", "network", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("val", "test", "test interval", "train s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in experiments:
        spent = seconds.get(f"train@{one.name}")
        table.add_row(
            Text(f"{one.name} {_MARK}" if one.name in marked else one.name),
            one.task,
            Text(one.network),
            one.metric,
            _value(one.val),
            _value(one.test),
            _interval(one.test),
            "restored" if spent is None else f"{spent:.0f}",
        )
    return table


def _value(measured: Measured | None) -> str:
    return "undefined" if measured is None else f"{measured.value:.3f}"


def _interval(measured: Measured | None) -> str:
    if measured is None or measured.ci_low is None or measured.ci_high is None:
        return ""
    return f"{measured.ci_low:.3f} to {measured.ci_high:.3f}"


def _where(experiments: list[ComparedExperiment]) -> str:
    reports = [f"  {one.name}: {paths.RESULTS / one.name / 'report.html'}" for one in experiments]
    return "\n".join(
        [
            "",
            f"side by side: {paths.COMPARISON / 'compare.html'}",
            f"the data:     {paths.VALIDATED / 'report.html'}",
            "each report:",
            *reports,
            "MLflow UI:    cnnpipe ui",
        ]
    )
