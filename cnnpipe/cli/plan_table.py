"""The table of a plan for a person's terminal."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnpipe.orchestration.planning.records import PlannedStage, Verdict
from cnnpipe.orchestration.planning.text import summary, why

_STYLES: Final[Mapping[Verdict, str]] = MappingProxyType(
    {"unchanged": "green", "restorable": "cyan", "to run": "yellow"}
)


def print_plan(planned: Sequence[PlannedStage]) -> None:
    """Print one row per stage, then the counts; long texts are folded, nothing is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "verdict"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", overflow="fold")
    for each in planned:
        table.add_row(Text(each.stage), Text(each.verdict, style=_STYLES[each.verdict]), Text(why(each)))
    console = Console()
    console.print(table)
    console.print(Text(f"\n{summary(planned)}"))
