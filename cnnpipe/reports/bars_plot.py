"""Values with their intervals, as horizontal bars."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patches import Patch

from cnnpipe.evaluation.comparison import Measured
from cnnpipe.reports.figures import INK, add_legend, house_style, new_figure, printable, to_svg

_COLOURS = ("#5a9fc9", "#edbb4f")  # pale, so that the line of the interval shows


def bars_svg(
    names: Sequence[str],
    series: Mapping[str, Sequence[Measured | None]],
    *,
    xlabel: str,
    is_share: bool = True,
) -> str:
    """Return one or two bars per name as SVG, with a line for the interval; a missing value has no bar.

    Args:
        names: from top to bottom.
        series: name of the series, e.g. "test" -> its value for each name.
        xlabel: what is measured.
        is_share: the values lie in [0, 1], and so does the axis.
    """
    thickness = 0.72 / len(series)
    with house_style():
        figure = new_figure(width=8.2, height=0.9 + len(names) * (0.22 * len(series) + 0.1))
        axes = figure.add_subplot()
        entries: list[tuple[Artist, str]] = []
        for number, (name, values) in enumerate(series.items()):
            rows = [(row, value) for row, value in enumerate(values) if value is not None]
            at = np.array([row for row, _ in rows]) + (number - (len(series) - 1) / 2) * thickness
            widths = [value.value for _, value in rows]
            axes.barh(at, widths, thickness * 0.88, color=_COLOURS[number])
            entries.append((Patch(color=_COLOURS[number]), name))
            for y, (_, value) in zip(at, rows, strict=True):
                if value.ci_low is not None and value.ci_high is not None:
                    axes.plot([value.ci_low, value.ci_high], [y, y], color=INK, linewidth=1.4)
        axes.set_yticks(range(len(names)), [printable(name) for name in names])
        axes.set(xlabel=xlabel, ylim=(len(names) - 0.4, -0.6))
        if is_share:
            axes.set_xlim(0, 1.01)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        if len(series) > 1:
            add_legend(axes, entries)
        return to_svg(figure)
