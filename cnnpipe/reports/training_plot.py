"""Loss and metrics over the epochs of a training."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cnnpipe.reports.figures import (
    BLUE,
    CYCLE,
    MUTED,
    ORANGE,
    add_legend,
    house_style,
    new_figure,
    say_nothing_to_draw,
    to_svg,
)


def learning_svg(
    history: Sequence[Mapping[str, float]], *, best_epoch: int, errors: Sequence[str] | None = None
) -> str:
    """Return loss of train and val, and the metrics of val, per epoch as SVG.

    Args:
        history: the lines of history.jsonl; where a network has grown into the next is marked.
        best_epoch: the epoch whose weights were kept, from 1; marked.
        errors: the metrics to draw where they are errors in one unit; None: all, which lie in [0, 1].
    """
    names = list(dict.fromkeys(name for epoch in history for name in epoch))
    losses = [name for name in names if name.endswith("/loss")]
    others = [name for name in names if name.startswith(("train/", "val/")) and "/loss" not in name]
    if errors is not None:
        others = [name for name in others if name.partition("/")[2] in errors]
    with house_style():
        figure = new_figure(width=10.4, height=3.5)
        left, right = figure.subplots(1, 2)
        _draw(left, history, dict(zip(losses, (BLUE, ORANGE, *CYCLE), strict=False)), best_epoch=best_epoch)
        _draw(right, history, dict(zip(others, CYCLE, strict=False)), best_epoch=best_epoch)
        left.set(ylabel="loss")
        left.set_ylim(bottom=0)
        right.set(ylabel="metric", ylim=(0, 1.02))
        if errors is not None:
            right.set_ylabel("error")
            right.autoscale(axis="y")
            right.set_ylim(bottom=0)
        return to_svg(figure)


def _draw(
    axes: Axes, history: Sequence[Mapping[str, float]], colours: Mapping[str, str], *, best_epoch: int
) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not history or not colours:
        say_nothing_to_draw(axes, "Nothing was recorded.")
        return
    axes.set_xlim(0.5, history[-1]["epoch"] + 0.5)
    axes.margins(y=0.1)
    best = axes.axvline(best_epoch, color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)))
    grown: list[Artist] = [
        axes.axvline(epoch - 0.5, color=MUTED, linewidth=0.9) for epoch in _first_epochs(history)
    ]
    entries: list[tuple[Artist, str]] = []
    for name, colour in colours.items():
        points = [(epoch["epoch"], epoch[name]) for epoch in history if name in epoch]
        style = "o-" if len(points) <= 12 else "-"
        (line,) = axes.plot(*zip(*points, strict=True), style, color=colour, markersize=3.5, linewidth=1.5)
        entries.append((line, name))
    entries += [(line, "the network has grown") for line in grown[:1]]
    add_legend(axes, [*entries, (best, f"best epoch ({best_epoch})")])


def _first_epochs(history: Sequence[Mapping[str, float]]) -> list[float]:
    """Return the first epoch of each network that another one has grown to."""
    return [
        epoch["epoch"] for before, epoch in pairwise(history) if epoch.get("growth") != before.get("growth")
    ]
