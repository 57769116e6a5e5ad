"""The pictures of docs/networks/: how the networks of a page learnt, and what one of them confuses.

    python -m benchmarks.course_pictures

It draws what `benchmarks.course_networks` has trained with seed 1.
"""

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.course_networks import PROJECT, ROOT, TRIALS, Trial, experiment_of, history_of

FOLDER: Final = ROOT / "docs/images/networks"
SEED: Final = 1
# Okabe and Ito 2008: told apart by colour-blind readers, too
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def pictures() -> list[Path]:
    """Draw the picture of every page whose networks are trained; return the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    drawn = []
    for family in dict.fromkeys(map(family_of, TRIALS)):
        trials = [trial for trial in TRIALS if family_of(trial) == family and is_trained(trial)]
        if trials:
            path = FOLDER / f"{family}.png"
            draw(trials).savefig(path, dpi=110)
            drawn.append(path)
    return drawn


def family_of(trial: Trial) -> str:
    """Return the page below docs/networks/ that a trial belongs to; ResNet-18's recipe stands on another."""
    return "resnet" if trial.page == "experiments.md" else Path(trial.page).stem


def is_trained(trial: Trial) -> bool:
    """Say whether its results with the first seed are there."""
    return (PROJECT / "outcomes" / f"{experiment_of(trial, SEED)}.json").exists()


def draw(trials: Sequence[Trial]) -> Figure:
    """Return the curves of some trials, and the confusion matrix of the last of them."""
    figure = Figure(figsize=(8.6, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    draw_curves(left, trials)
    draw_confusion(right, trials[-1])
    return figure


def draw_curves(axes: Axes, trials: Sequence[Trial]) -> None:
    """Draw the accuracy on val after each epoch; where a network grew, a line tells."""
    for trial, colour in zip(trials, COLOURS, strict=False):
        history = history_of(experiment_of(trial, SEED))
        epochs = [row["epoch"] for row in history]
        axes.plot(epochs, [row["val/accuracy"] for row in history], color=colour, label=trial.name)
        for before, after in itertools.pairwise(history):
            if before.get("growth") != after.get("growth"):
                axes.axvline(before["epoch"] + 0.5, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(xlabel="epoch", ylabel="accuracy on val", ylim=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.legend(frameon=False, loc="lower right")


def draw_confusion(axes: Axes, trial: Trial) -> None:
    """Draw how the test pictures of each class were predicted."""
    path = PROJECT / "results" / experiment_of(trial, SEED) / "confusion_matrix.csv"
    with path.open(encoding="utf-8", newline="") as file:
        (_, *classes), *rows = csv.reader(file)
    counts = np.array([[int(cell) for cell in row[1:]] for row in rows])
    axes.imshow(counts, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if count > counts.max() / 2 else "black"
        axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="truth")
    axes.set_title(f"{trial.name}, test", fontsize=10)


def main() -> None:
    """Draw all of them."""
    mpl.rcParams["font.size"] = 9
    for path in pictures():
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
