"""The figures of a regression experiment, by name: results/<exp>/plots/<name>.svg."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from cnnpipe.evaluation.arrays import Floats
from cnnpipe.evaluation.regression import Valued
from cnnpipe.reports.figures import (
    BLUE,
    MUTED,
    VERMILION,
    add_legend,
    house_style,
    new_figure,
    printable,
    to_svg,
)


def regression_figures(valued: Valued, *, attribute: str) -> dict[str, str]:
    """Return the figures of the test split as SVG.

    Args:
        valued: truth and prediction of test, at least one sample.
        attribute: what the numbers are.
    """
    return {
        "predicted": predicted_svg(valued, attribute=attribute),
        "residuals": residuals_svg(valued.error, attribute=attribute),
    }


def predicted_svg(valued: Valued, *, attribute: str) -> str:
    """Return what was predicted over what is true, with the diagonal, as SVG."""
    name = printable(attribute)
    least = min(valued.truth.min(), valued.predicted.min())
    largest = max(valued.truth.max(), valued.predicted.max())
    margin = 0.04 * (largest - least) or 0.5
    ends = [least - margin, largest + margin]
    with house_style():
        figure = new_figure(width=6.6, height=4.8)
        axes = figure.add_subplot()
        (diagonal,) = axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
        (dots,) = axes.plot(valued.truth, valued.predicted, "o", color=BLUE, alpha=0.6, markersize=4)
        axes.set(xlim=ends, ylim=ends, xlabel=f"{name}, truth", ylabel=f"{name}, predicted")
        axes.set(aspect="equal", anchor="W")
        add_legend(axes, [(dots, "test sample"), (diagonal, "predicted = truth")])
        return to_svg(figure)


def residuals_svg(error_N: Floats, *, attribute: str) -> str:
    """Return how many samples have which error, prediction minus truth, as SVG."""
    with house_style():
        figure = new_figure(width=6.6, height=3.4)
        axes = figure.add_subplot()
        edges = _edges(error_N)
        count, _ = np.histogram(error_N, edges)
        bars = axes.bar(edges[:-1], count, np.diff(edges), align="edge", color=BLUE, alpha=0.85)
        zero = axes.axvline(0.0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)))
        mean = axes.axvline(float(error_N.mean()), color=VERMILION, linewidth=1.4)
        axes.set(xlabel=f"{printable(attribute)}, predicted − truth", ylabel="test samples")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        told = f"mean error  {error_N.mean():.3g}"
        add_legend(axes, [(bars[0], "samples"), (zero, "no error"), (mean, told)])
        return to_svg(figure)


def _edges(error_N: Floats) -> Floats:
    """Return the edges of at most 40 bins that are alike to both sides of no error: one of them is 0.

    Source of their number: Rice's rule, 2 N^(1/3).
    """
    reach = float(np.abs(error_N).max()) or 1.0
    per_side = min(20, max(3, round(len(error_N) ** (1 / 3))))
    return np.linspace(-reach, reach, 2 * per_side + 1)
