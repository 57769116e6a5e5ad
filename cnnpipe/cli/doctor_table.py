"""The table of the doctor's checks for a person's terminal."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnpipe.projects.checks.results import Result, State

_STYLES: Final[Mapping[State, str]] = MappingProxyType(
    {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}
)


def print_checks(results: Iterable[Result]) -> None:
    """Print one row per result, and below what was found the fix; long texts are folded, nothing is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("check", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("found", overflow="fold")
    for each in results:
        told = f"{each.found}\n  fix: {each.fix}" if each.fix else each.found
        table.add_row(Text(each.check), Text(each.state, style=_STYLES[each.state]), Text(told))
    Console().print(table)
