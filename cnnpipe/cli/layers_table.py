"""The table of a network's layers for a person's terminal."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnpipe.cli.models_table import short
from cnnpipe.models.layer_report import LayerReport, ReportedLayer

_WIDE: Final = 110  # characters that all columns take
_IF_WIDE: Final = ("unshared", "full")
_COLUMNS: Final[Mapping[str, bool]] = MappingProxyType(  # heading -> it is of numbers
    {
        "layer": False,
        "kind": False,
        "output": True,
        "parameters": True,
        "unshared": True,
        "full": True,
        "field px": True,
        "FLOPs": True,
    }
)


def print_layers(report: LayerReport) -> None:
    """Print one row per layer in the order they run, then the totals."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [heading for heading in _COLUMNS if console.width >= _WIDE or heading not in _IF_WIDE]
    for heading in shown:
        justify: Literal["right", "left"] = "right" if _COLUMNS[heading] else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != "layer", overflow="fold")
    for layer in report.layers:
        row = dict(zip(_COLUMNS, _row(layer), strict=True))
        table.add_row(*(Text(row[heading]) for heading in shown))
    console.print(table)
    if len(shown) < len(_COLUMNS):
        console.print(
            Text(f"left out: {', '.join(_IF_WIDE)}; in a terminal of {_WIDE} columns, or with --json")
        )
    console.print(Text(f"\n{report.parameters:,} parameters, {short(report.flops)} FLOPs for one picture"))
    if report.parameters_of_training:
        told = f"{report.parameters_of_training:,} of them in training alone, of auxiliary classifiers"
        console.print(Text(told))
    if not report.differing:
        told = f"output sizes by formula and as run agree in all {len(report.layers)} layers"
        console.print(Text(told))


def _row(layer: ReportedLayer) -> list[str]:
    output = " x ".join(map(str, layer.output))
    if not layer.agrees:
        output += f" (by formula {' x '.join(map(str, layer.output_by_formula))})"
    return [
        layer.name or "the network",
        layer.kind,
        output,
        f"{layer.parameters:,}" if layer.parameters else "",
        short(layer.unshared),
        short(layer.fully_connected),
        _field(layer),
        short(layer.flops or None),
    ]


def _field(layer: ReportedLayer) -> str:
    if layer.receptive_field_px is None:
        return "?"
    if layer.sees_all:
        return "whole"
    height, width = layer.receptive_field_px
    return str(height) if height == width else f"{height} x {width}"
