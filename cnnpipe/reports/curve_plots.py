"""Precision-recall and ROC curves of every class against the rest, and their mean.

Up to eight classes have a colour each; of more, the weakest do and the others stay grey.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from cnnpipe.evaluation.curves import ClassCurves, average_precision, macro_precision, macro_roc, roc_auc
from cnnpipe.reports.figures import (
    CYCLE,
    INK,
    MUTED,
    add_legend,
    house_style,
    new_figure,
    printable,
    say_nothing_to_draw,
    to_svg,
)

_WEAKEST: Final = 6  # classes in colour where there are more classes than colours
_GREY: Final = "#c4ccd4"
_GRID: Final = np.linspace(0.0, 1.0, 501)

Curve = TypeVar("Curve")


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where on its curve a class stands: at the threshold of its score."""

    precision: float
    recall: float


class PrecisionRecallNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What the figure says beside the curves of a detector; both mappings are by class."""

    areas: Mapping[str, float]
    area_name: str
    points: Mapping[str, OperatingPoint]


def precision_recall_svg(curves: Sequence[ClassCurves], notes: PrecisionRecallNotes | None = None) -> str:
    """Return the precision-recall curves as SVG; a dot is a break-even point, a square an operating point.

    Args:
        curves: of every class.
        notes: None: the areas are average precision by steps, and there are no operating points.
    """
    known = [(c.label, c.precision_recall) for c in curves if c.precision_recall]
    areas = [notes.areas[label] if notes else average_precision(curve) for label, curve in known]
    with house_style():
        figure = new_figure(width=8.2, height=4.8)
        axes = _unit_axes(figure.add_subplot(), xlabel="recall", ylabel="precision")
        (diagonal,) = axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
        entries: list[tuple[Artist, str]] = []
        for (label, curve), area, colour in _coloured(known, areas):
            (line,) = axes.plot(
                curve.recall, curve.precision, drawstyle="steps-post", color=colour or _GREY, linewidth=1.3
            )
            if colour:
                axes.plot(curve.break_even, curve.break_even, "o", color=colour, markersize=5)
                if notes and (point := notes.points.get(label)):
                    axes.plot(point.recall, point.precision, "s", color=colour, markersize=5)
                entries.append((line, f"{printable(label)}  {area:.3f}"))
        if known:
            mean = macro_precision([curve for _, curve in known], _GRID)
            (line,) = axes.plot(_GRID, mean, color=INK, linewidth=2.2)
            entries.insert(0, (line, f"mean of classes  {np.mean(areas):.3f}"))
        else:
            say_nothing_to_draw(axes, "No class has an object." if notes else "No class has a sample.")
        entries.append((diagonal, "precision = recall"))
        area_name = notes.area_name if notes else "average precision"
        add_legend(axes, entries, title=_legend_title(area_name, len(known)))
        return to_svg(figure)


def roc_svg(
    curves: Sequence[ClassCurves], *, without_curves: str = "The samples are all of one class."
) -> str:
    """Return the ROC curves as SVG; where no class has one, the sentence `without_curves`."""
    known = [(c.label, c.roc) for c in curves if c.roc]
    areas = [roc_auc(curve) for _, curve in known]
    with house_style():
        figure = new_figure(width=8.2, height=4.8)
        axes = _unit_axes(figure.add_subplot(), xlabel="false positive rate", ylabel="true positive rate")
        (diagonal,) = axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
        entries: list[tuple[Artist, str]] = []
        for (label, curve), area, colour in _coloured(known, areas):
            (line,) = axes.plot(curve.fpr, curve.tpr, color=colour or _GREY, linewidth=1.3)
            if colour:
                entries.append((line, f"{printable(label)}  {area:.3f}"))
        if known:
            mean = macro_roc([curve for _, curve in known], _GRID)
            (line,) = axes.plot(np.append(0.0, _GRID), np.append(0.0, mean), color=INK, linewidth=2.2)
            entries.insert(0, (line, f"mean of classes  {np.mean(areas):.3f}"))
        else:
            say_nothing_to_draw(axes, without_curves)
        entries.append((diagonal, "chance"))
        add_legend(axes, entries, title=_legend_title("area under the curve", len(known)))
        return to_svg(figure)


def _unit_axes(axes: Axes, *, xlabel: str, ylabel: str) -> Axes:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=xlabel, ylabel=ylabel, aspect="equal", anchor="W")
    return axes


def _coloured(
    known: Sequence[tuple[str, Curve]], areas: Sequence[float]
) -> list[tuple[tuple[str, Curve], float, str | None]]:
    """Return each curve with its area and colour (None: grey), grey ones first, so that they lie below."""
    rows = list(zip(known, areas, strict=True))
    if len(rows) <= len(CYCLE):
        return [(curve, area, colour) for (curve, area), colour in zip(rows, CYCLE, strict=False)]
    rows.sort(key=lambda row: row[1])
    colours = [*CYCLE[:_WEAKEST], *[None] * (len(rows) - _WEAKEST)]
    weakest_first = [(curve, area, colour) for (curve, area), colour in zip(rows, colours, strict=True)]
    return weakest_first[_WEAKEST:] + weakest_first[:_WEAKEST]


def _legend_title(area: str, num_classes: int) -> str:
    if num_classes <= len(CYCLE):
        return area
    return f"{area}\n{_WEAKEST} weakest of {num_classes} classes"
