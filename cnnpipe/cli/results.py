"""The table of results for a person's terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnpipe import paths
from cnnpipe.evaluation.comparison import ComparedExperiment, Comparison, Measured


def print_table(comparison: Comparison, seconds: Mapping[str, float]) -> None:
    """Print every experiment by rank, then where to look next.

    Args:
        comparison: the content of comparison/compare.json.
        seconds: wall time of the last run of each stage on this machine, by address (train@lenet).
    """
    console = Console()
    console.print(_table(comparison.experiments, seconds))
    for note in comparison.notes:
        console.print(Text(f"note: {note}"))
    console.print(Text(_where(comparison.experiments)), soft_wrap=True)


def _table(experiments: list[ComparedExperiment], seconds: Mapping[str, float]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")  # fits 80 columns with the demo
    for heading in ("experiment", "task", "network", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("val", "test", "test interval", "train s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in experiments:
        spent = seconds.get(f"train@{one.name}")
        table.add_row(
            Text(one.name),
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
