"""How the commands for VIA files print: lines and tables for a person's terminal, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

_MOST_ROWS: Final = 40  # of a table


def encode(value: Any) -> str:
    """Return any value as JSON: numbers that JSON has no word for are null."""
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, OverflowError):  # half of a surrogate pair, or an integer of many digits
        return json.dumps(msgspec.to_builtins(value), default=str)


def line(console: Console, text: str) -> None:
    """Print text as it is, in one line however narrow the terminal: a program may read it."""
    console.print(Text(_plain(text)), soft_wrap=True, highlight=False)


def print_table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the first rows; the first column is text, the others are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    console.print(table)
    if len(rows) > _MOST_ROWS:
        line(console, f"… and {len(rows) - _MOST_ROWS} more")


def counted(number: int, what: str) -> str:
    """Return a number and its noun: "1 picture", "2 pictures"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    """Return the text without what would steer the terminal, or cannot be printed."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
