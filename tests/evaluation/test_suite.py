"""The flat list of metrics, and what it leaves out."""

import math
from typing import TypeAlias

import numpy as np
import pytest

from cnnpipe.errors import DataError
from cnnpipe.evaluation.arrays import stack
from cnnpipe.evaluation.predictions import Prediction
from cnnpipe.evaluation.suite import classification_metrics, undefined_notes

Rows: TypeAlias = list[tuple[str, tuple[float, ...]]]  # truth and scores


def predictions(rows: Rows, classes: list[str]) -> list[Prediction]:
    """One picture per row of (truth, scores)."""
    return [
        Prediction(
            image_id=f"{number}.jpg",
            region=None,
            group=f"{number}.jpg",
            label=label,
            scores=dict(zip(classes, scores, strict=True)),
        )
        for number, (label, scores) in enumerate(rows)
    ]


def metrics_of(rows: Rows, classes: list[str]) -> tuple[dict[str, float], list[str]]:
    samples = stack(predictions(rows, classes), classes)
    return classification_metrics(samples, seed=1, num_resamples=100, confidence=0.95), undefined_notes(
        samples
    )


def test_usual_case_has_every_metric_and_no_note() -> None:
    rows: Rows = [("a", (0.9, 0.1)), ("b", (0.2, 0.8)), ("a", (0.4, 0.6)), ("b", (0.3, 0.7))]
    metrics, notes = metrics_of(rows, ["a", "b"])
    overall = {name for name in metrics if "/" not in name}
    assert overall == {
        "accuracy",
        *(
            f"{name}_{mean}"
            for name in ("precision", "recall", "f1")
            for mean in ("micro", "macro", "weighted")
        ),
        "average_precision_macro",
        "average_precision_interpolated_macro",
        "break_even_macro",
        "roc_auc_macro",
        "log_loss",
        "calibration_error",
    }
    of_a = {name.removesuffix("/a") for name in metrics if name.endswith("/a")}
    assert of_a == {
        "precision",
        "recall",
        "f1",
        "specificity",
        "negative_precision",
        "average_precision",
        "average_precision_interpolated",
        "break_even",
        "roc_auc",
    }
    assert metrics["accuracy"] == metrics["f1_micro"] == 0.75
    assert metrics["accuracy/ci_low"] <= 0.75 <= metrics["accuracy/ci_high"]
    assert notes == []


def test_class_without_sample_is_absent_and_noted() -> None:
    metrics, notes = metrics_of([("a", (0.9, 0.1, 0.0)), ("b", (0.2, 0.8, 0.0))], ["a", "b", "c"])
    assert not [name for name in metrics if name.endswith("/c") and not name.startswith(("spec", "negative"))]
    assert metrics["f1_macro"] == metrics["roc_auc_macro"] == 1
    assert len(notes) == 1
    assert "no sample of c" in notes[0]


def test_class_never_predicted_is_noted() -> None:
    metrics, notes = metrics_of([("a", (0.9, 0.1)), ("b", (0.8, 0.2))], ["a", "b"])
    assert "precision/b" not in metrics
    assert metrics["precision_macro"] == pytest.approx(0.25)
    assert "never predicted: b" in notes[0]


def test_single_class_has_no_roc() -> None:
    metrics, notes = metrics_of([("a", (0.9, 0.1)), ("a", (0.8, 0.2))], ["a", "b"])
    assert not [name for name in metrics if name.startswith("roc_auc")]
    assert metrics["accuracy"] == 1
    assert any("one class" in note for note in notes)


def test_one_sample_has_no_interval() -> None:
    metrics, notes = metrics_of([("a", (0.9, 0.1))], ["a", "b"])
    assert not [name for name in metrics if "ci_" in name]
    assert any("one group" in note for note in notes)
    assert all(math.isfinite(value) for value in metrics.values())


def test_equal_scores_go_to_the_first_class() -> None:
    samples = stack(predictions([("a", (0.5, 0.5))], ["a", "b"]), ["a", "b"])
    assert samples.predicted.tolist() == [0]


def test_groups_are_numbered_without_gaps() -> None:
    rows = predictions([("a", (0.5, 0.5))] * 3, ["a", "b"])
    rows[1] = Prediction(image_id="1", region=0, group="0.jpg", label="b", scores={"b": 0.9, "a": 0.1})
    samples = stack(rows, ["a", "b"])
    assert samples.group.tolist() == [0, 0, 1]
    assert samples.scores[1].tolist() == [0.1, 0.9]  # by name, not by order
    assert samples.truth.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        pytest.param("c", ["a", "b"], id="unknown truth"),
        pytest.param("a", ["a", "b", "c"], id="score missing"),
    ],
)
def test_predictions_of_other_classes_are_refused(label: str, classes: list[str]) -> None:
    row = Prediction(image_id="x.jpg", region=None, group="x", label=label, scores={"a": 0.5, "b": 0.5})
    with pytest.raises(DataError, match=r"(?s)x\.jpg.*fix"):
        stack([row], classes)


def test_no_prediction_at_all_stacks_to_empty_arrays() -> None:
    assert stack([], ["a", "b"]).scores.shape == (0, 2)
    assert np.issubdtype(stack([], ["a"]).group.dtype, np.integer)
