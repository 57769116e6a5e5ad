"""The confusion matrix as a picture, readable from 2 to some hundred classes.

Shapes: K classes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from cnnpipe.evaluation.arrays import Ints, ratio
from cnnpipe.reports.figures import (
    BLUE,
    FAINT,
    INK,
    VERMILION,
    house_style,
    inches,
    new_figure,
    printable,
    to_svg,
)

_RIGHT = LinearSegmentedColormap.from_list("right", ["#eef5fa", BLUE])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#fdf1ea", VERMILION])


def confusion_svg(confusion_KK: Ints, classes: Sequence[str], *, counted: str = "samples") -> str:
    """Return the matrix as SVG: counts in the cells, colour by share of the row; rows are the truth.

    Args:
        confusion_KK: counts.
        classes: names of rows and columns.
        counted: what a row sums to.
    """
    num_classes = len(classes)
    cell_in, tick_size, count_size = _sizes(num_classes)
    side = num_classes * cell_in
    columns = [printable(name, limit=20) for name in classes]
    rows = [f"{name} ({total})" for name, total in zip(columns, confusion_KK.sum(axis=1), strict=True)]
    longest = max(inches(row, font_size=tick_size) for row in rows)
    with house_style():
        figure = new_figure(width=side + longest + 0.5, height=side + longest + 0.5)
        axes = figure.add_subplot()
        shares_KK = np.nan_to_num(ratio(confusion_KK, confusion_KK.sum(axis=1, keepdims=True)))
        _draw_cells(axes, confusion_KK, shares_KK, font_size=count_size)
        axes.set_xticks(range(num_classes), columns, rotation=90, fontsize=tick_size)
        axes.set_yticks(range(num_classes), rows, fontsize=tick_size)
        axes.set(xlabel="predicted", ylabel=f"truth ({counted})", aspect="equal")
        axes.set_xlim(-0.5, num_classes - 0.5)
        axes.set_ylim(num_classes - 0.5, -0.5)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return to_svg(figure)


def _sizes(num_classes: int) -> tuple[float, float, float]:
    """Return the side of a cell in inches, and the font sizes of names and counts in points."""
    if num_classes <= 8:
        return 0.62, 9.0, 10.0
    if num_classes <= 20:
        return 0.42, 8.0, 8.0
    return 0.27, 6.5, 6.0


def _draw_cells(
    axes: Axes, confusion_KK: Ints, shares_KK: npt.NDArray[np.float64], *, font_size: float
) -> None:
    """Draw the cells that hold samples, and a faint frame for the empty ones."""
    num_classes = len(confusion_KK)
    edges = np.arange(num_classes + 1) - 0.5
    axes.hlines(edges, -0.5, num_classes - 0.5, colors=FAINT, linewidths=0.6)
    axes.vlines(edges, -0.5, num_classes - 0.5, colors=FAINT, linewidths=0.6)
    cells, colours = [], []
    for row, column in np.argwhere(confusion_KK > 0):
        share = float(shares_KK[row, column])
        cells.append(Rectangle((column - 0.5, row - 0.5), 1, 1))
        colours.append((_RIGHT if row == column else _WRONG)(share))
        axes.text(
            column,
            row,
            str(confusion_KK[row, column]),
            ha="center",
            va="center",
            fontsize=font_size,
            color="white" if share > 0.55 else INK,
        )
    axes.add_collection(PatchCollection(cells, facecolors=colours, edgecolors="white", linewidths=0.8))
