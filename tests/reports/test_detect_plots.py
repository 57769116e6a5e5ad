"""Figures of a detector: its curves end where its detections do, and names of any script stand as text."""

import xml.etree.ElementTree as ET

import pytest
from detections import drawn_pictures

from cnnpipe.evaluation.detection import best_f1_thresholds
from cnnpipe.evaluation.detection_counts import detection_confusion
from cnnpipe.evaluation.detection_suite import detection_metrics, judge_detections
from cnnpipe.reports.detect_plots import detection_figures

CLASSES = ("中文", "$x_1$", "a<b>")


def figures(**changes: int) -> tuple[dict[str, str], dict[str, float]]:
    pictures = drawn_pictures(seed=1, num_pictures=10, **changes)
    thresholds = dict(zip(CLASSES, best_f1_thresholds(pictures, num_classes=3), strict=True))
    groups = [str(number) for number in range(10)]
    judged = judge_detections(pictures, CLASSES, thresholds, groups)
    metrics = detection_metrics(judged, seed=0, num_resamples=20, confidence=0.9)
    return detection_figures(detection_confusion(judged.said), judged.curves, metrics), metrics


def texts(svg: str) -> str:
    root = ET.fromstring(svg)  # noqa: S314  our own
    found = ("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
    return " | ".join(" ".join(text.split()) for text in found)


def test_figures_tell_areas_counts_and_every_class() -> None:
    drawn, metrics = figures()
    assert drawn.keys() == {"confusion_matrix", "pr_curve", "roc_curve", "ap_50"}
    for svg in drawn.values():
        assert all(label in texts(svg) for label in CLASSES)
    assert f"mean of classes {metrics['map_50']:.3f}" in texts(drawn["pr_curve"])
    assert f"$x_1$ {metrics['ap_50/$x_1$']:.3f}" in texts(drawn["pr_curve"])
    assert "AP at an IoU of 0.5" in texts(drawn["pr_curve"])
    assert f"mean of classes {metrics['presence_roc_auc_macro']:.3f}" in texts(drawn["roc_curve"])
    assert "background" in texts(drawn["confusion_matrix"])
    assert "truth (objects)" in texts(drawn["confusion_matrix"])


@pytest.mark.parametrize("changes", [{"max_truths": 0}, {"max_found": 0}, {"max_found": 0, "max_truths": 0}])
def test_what_cannot_be_drawn_is_said(changes: dict[str, int]) -> None:
    drawn, _ = figures(**changes)
    if "max_truths" in changes:
        assert "No class has an object." in texts(drawn["pr_curve"])
        assert "Each class is in every picture, or in none." in texts(drawn["roc_curve"])


def test_equal_input_gives_equal_bytes() -> None:
    assert figures() == figures()
