"""The table of networks for a person's terminal."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnpipe.params.networks import NetworkFacts

_WIDE: Final = 130  # characters that all columns take
_IF_WIDE: Final = ("year", "smallest px", "options")  # a source has its year, too
_WORDS: Final = ("source", "options")
_COLUMNS: Final[Mapping[str, bool]] = MappingProxyType(  # heading -> it is of numbers
    {
        "network": False,
        "year": True,
        "parameters": True,
        "FLOPs": True,
        "input": True,
        "smallest px": True,
        "weights": False,
        "source": False,
        "options": False,
    }
)
_UNITS: Final = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def print_models(classifiers: Mapping[str, NetworkFacts], detectors: Mapping[str, Sequence[str]]) -> None:
    """Print one row per classifier, then the detectors; a narrow terminal gets fewer columns."""
    console = Console()
    is_wide = console.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, is_number in _COLUMNS.items():
        if is_wide or heading not in _IF_WIDE:
            table.add_column(heading, justify="right" if is_number else "left", no_wrap=heading not in _WORDS)
    for name, facts in classifiers.items():
        row = dict(zip(_COLUMNS, _row(name, facts), strict=True))
        table.add_row(*(Text(row[heading]) for heading in row if is_wide or heading not in _IF_WIDE))
    console.print(table)
    if not is_wide:
        left_out = ", ".join(_IF_WIDE)
        console.print(Text(f"left out: {left_out}; in a terminal of {_WIDE} columns, or with --json"))
    console.print(Text("\nand any classifier of timm, as timm/NAME\n\ndetectors:"))
    for name, weights in detectors.items():
        console.print(Text(f"  {name}  weights: {_at_hand(weights) or 'none at hand'}"))


def _row(name: str, facts: NetworkFacts) -> list[str]:
    size = f"{facts.channels}x{facts.side_px}x{facts.side_px}" if facts.side_px else "yours"
    numbers = [str(facts.year or ""), short(facts.num_parameters), short(facts.flops)]
    words = [_at_hand(facts.weights), facts.source, ", ".join(facts.options)]
    return [name, *numbers, size, str(facts.smallest_side_px), *words]


def _at_hand(weights: Sequence[str]) -> str:
    return ", ".join(place for place in weights if place != "none")


def short(number: int | None) -> str:
    """Return a number with three digits and its unit, 138 M; nothing where there is none."""
    if number is None:
        return ""
    for size, unit in _UNITS:
        if number >= size:
            return f"{number / size:.3g} {unit}" if number < 999.5 * size else f"{number / size:.0f} {unit}"
    return str(number)
