"""Figures: deterministic SVG with its text as text, whatever a class is called."""

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
import pytest

from cnnpipe.evaluation.arrays import Scored
from cnnpipe.evaluation.calibration import reliability
from cnnpipe.evaluation.comparison import Measured
from cnnpipe.evaluation.curves import curves_of
from cnnpipe.reports.bars_plot import bars_svg
from cnnpipe.reports.calibration_plot import reliability_svg
from cnnpipe.reports.confusion_plot import confusion_svg
from cnnpipe.reports.curve_plots import precision_recall_svg, roc_svg
from cnnpipe.reports.figures import columns, printable
from cnnpipe.reports.training_plot import learning_svg

NAMES = ("中文", "عربى", "c++", "50%", "$x_1$", "_hidden", 'a<b>&"c"', "हिन्दी", "x\ny\x00z")


def scored(classes: Sequence[str], *, num_samples: int = 60, seed: int = 0) -> Scored:
    generator = np.random.default_rng(seed)
    truth = generator.integers(len(classes), size=num_samples)
    scores = generator.dirichlet(np.ones(len(classes)), size=num_samples)
    return Scored(classes=tuple(classes), truth=truth, scores=scores, group=np.arange(num_samples))


def confusion_of(samples: Scored) -> str:
    matrix = np.zeros((len(samples.classes),) * 2, dtype=np.int64)
    np.add.at(matrix, (samples.truth, samples.predicted), 1)
    return confusion_svg(matrix, samples.classes)


def bars_of(samples: Scored) -> str:
    value = Measured(value=0.5, ci_low=0.4, ci_high=0.6)
    return bars_svg(samples.classes, {"val": [value] * len(samples.classes)}, xlabel="F1")


FIGURES: dict[str, Callable[[Scored], str]] = {
    "confusion": confusion_of,
    "precision and recall": lambda samples: precision_recall_svg(curves_of(samples)),
    "roc": lambda samples: roc_svg(curves_of(samples)),
    "reliability": lambda samples: reliability_svg(reliability(samples.truth, samples.scores)),
    "bars": bars_of,
}
each_figure = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)


def texts(svg: str) -> list[str]:
    """The text of the figure as a reader, or a search in the page, finds it."""
    root = ET.fromstring(svg)  # noqa: S314  our own
    found = ("".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text"))
    return [text.removesuffix("\u200e") for text in found]


@each_figure
def test_equal_input_gives_equal_bytes(draw: Callable[[Scored], str]) -> None:
    assert draw(scored(NAMES)) == draw(scored(NAMES))


@each_figure
def test_settings_of_the_user_neither_change_a_figure_nor_are_changed(draw: Callable[[Scored], str]) -> None:
    expected = draw(scored("abc"))
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        assert draw(scored("abc")) == expected
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["confusion", "precision and recall", "roc", "bars"])
def test_class_names_of_any_script_stand_as_text(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = " | ".join(texts(FIGURES[name](scored(NAMES[:8]))))
    missing = [label for label in NAMES[:8] if label not in found]
    assert missing == []


@each_figure
@pytest.mark.parametrize("num_classes", [2, 9, 30])
def test_any_number_of_classes_can_be_drawn(draw: Callable[[Scored], str], num_classes: int) -> None:
    ET.fromstring(draw(scored([f"class {i}" for i in range(num_classes)], num_samples=200)))  # noqa: S314


@each_figure
def test_one_sample_can_be_drawn(draw: Callable[[Scored], str]) -> None:
    ET.fromstring(draw(scored(["a", "b"], num_samples=1)))  # noqa: S314


def test_confusion_matrix_shows_counts_and_the_size_of_each_class() -> None:
    shown = texts(confusion_svg(np.array([[31, 2], [0, 0]]), ["a", "b"]))
    assert {"31", "2", "a (33)", "b (0)"} <= set(shown)
    assert "0" not in shown  # empty cells stay empty


def test_legend_tells_the_area_of_each_class_and_their_mean() -> None:
    samples = Scored(
        classes=("a", "b"),
        truth=np.array([0, 0, 1, 1]),
        scores=np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]]),
        group=np.arange(4),
    )
    shown = [" ".join(text.split()) for text in texts(roc_svg(curves_of(samples)))]
    assert {"a 0.750", "b 0.750", "mean of classes 0.750", "chance"} <= set(shown)


def test_of_many_classes_only_the_weakest_are_named() -> None:
    shown = " ".join(texts(roc_svg(curves_of(scored([f"c{i:02d}" for i in range(20)], num_samples=400)))))
    assert sum(f"c{i:02d}" in shown for i in range(20)) == 6
    assert "6 weakest of 20 classes" in shown


@pytest.mark.parametrize(
    ("draw", "reason"),
    [(precision_recall_svg, "No class has a sample."), (roc_svg, "The samples are all of one class.")],
)
def test_curves_that_are_undefined_say_why(draw: Callable[[list[object]], str], reason: str) -> None:
    assert reason in texts(draw([]))


def test_learning_curves_have_every_recorded_metric_and_mark_the_best_epoch() -> None:
    history = [
        {"epoch": 1, "step": 5, "train/loss": 2.0, "lr/network": 0.1},
        {"epoch": 2, "step": 10, "train/loss": 1.0, "val/loss": 1.5, "val/accuracy": 0.5, "lr/network": 0.1},
    ]
    shown = texts(learning_svg(history, best_epoch=2))
    assert {"train/loss", "val/loss", "val/accuracy", "best epoch (2)"} <= set(shown)
    assert "lr/network" not in shown
    assert "Nothing was recorded." in texts(learning_svg([], best_epoch=1))


@pytest.mark.parametrize(("networks", "is_marked"), [((1, 1, 2), True), ((1, 1, 1), False)])
def test_learning_curves_mark_where_a_network_has_grown(networks: tuple[int, ...], is_marked: bool) -> None:
    history = [
        {"epoch": epoch, "train/loss": 1.0 / epoch, "val/loss": 1.0, "growth": network}
        for epoch, network in enumerate(networks, start=1)
    ]
    shown = texts(learning_svg(history, best_epoch=3))
    assert shown.count("the network has grown") == is_marked


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        pytest.param("coat", "coat", id="as it is"),
        pytest.param("a\tb\x00c", "a b c", id="control characters"),
        pytest.param("\x01", "·", id="nothing to print"),
        pytest.param("abcdefghijk", "abcdefghi…", id="long"),
        pytest.param("日本語のとても", "日本語の…", id="wide characters count twice"),
        pytest.param("عربى", "عربى\u200e", id="right to left"),
    ],
)
def test_printable_names(label: str, expected: str) -> None:
    assert printable(label, limit=10) == expected
    assert columns(expected.removesuffix("\u200e")) <= 10
