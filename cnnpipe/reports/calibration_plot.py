"""The reliability diagram: do scores mean what they say."""

import numpy as np

from cnnpipe.evaluation.calibration import Reliability
from cnnpipe.reports.figures import BLUE, MUTED, VERMILION, add_legend, house_style, new_figure, to_svg


def reliability_svg(bins: Reliability) -> str:
    """Return accuracy per bin of confidence, and how many samples each bin holds, as SVG."""
    filled = bins.count > 0
    middles = (bins.edges[:-1] + bins.edges[1:]) / 2
    width = float(bins.edges[1] - bins.edges[0]) * 0.92
    with house_style():
        figure = new_figure(width=6.6, height=4.8)
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        (diagonal,) = axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
        bars = axes.bar(middles[filled], bins.accuracy[filled], width, color=BLUE, alpha=0.85)
        (dots,) = axes.plot(
            bins.confidence[filled], bins.accuracy[filled], "o", color=VERMILION, markersize=4.5
        )
        axes.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        below.bar(middles, bins.count, width, color=MUTED)
        below.set(xlabel="confidence (highest score)", ylabel="samples", xticks=np.linspace(0, 1, 6))
        entries = [
            (bars, "share that is right"),
            (dots, "at the mean confidence"),
            (diagonal, "perfect calibration"),
        ]
        add_legend(axes, entries)
        return to_svg(figure)
