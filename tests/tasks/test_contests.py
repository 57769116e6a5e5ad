"""An older champion judged anew beside a candidate: its numbers are those of `evaluate` and `compare`."""

from collections.abc import Callable
from pathlib import Path

import bundles
import pytest
import toy_views

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import open_detect_view, open_view
from cnnpipe.errors import ModelError
from cnnpipe.evaluation.arrays import stack
from cnnpipe.evaluation.detection_suite import detection_metrics
from cnnpipe.evaluation.promotion import Contest
from cnnpipe.evaluation.suite import classification_metrics
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.inference.detector import load_detector
from cnnpipe.models.bundle import WEIGHTS_FILE
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.tasks.classify import contest as classify
from cnnpipe.tasks.classify.judgement import predictions_of as classified
from cnnpipe.tasks.detect import contest as detect
from cnnpipe.tasks.detect.comparison import judgement_of
from cnnpipe.tasks.detect.judgement import predictions_of as detected

PARAMS = CompareParams(classify="f1_macro", detect="map_50", seed=3, bootstrap_samples=150, confidence=0.9)
DRAWING = {"seed": 3, "num_resamples": 150}
SPLITS: tuple[Split, ...] = ("val", "test")


def judge_classifier(model: Path, view: Path, results: Path) -> dict[str, float]:
    """Write what `contest` reads of a candidate, and return its metrics."""
    classifier = load_classifier(model)
    metrics: dict[str, float] = {}
    for split in SPLITS:
        predictions = classified(classifier, open_view(view), view, split)
        scored = stack(predictions, classifier.spec.classes)
        found = classification_metrics(scored, **DRAWING, confidence=0.9)
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
    files.write_jsonl(results / "predictions.jsonl", predictions)
    files.write_json(results / "metrics.json", metrics)
    return metrics


def judge_detector(model: Path, view: Path, results: Path) -> dict[str, float]:
    detector = load_detector(model)
    metrics: dict[str, float] = {}
    for split in SPLITS:
        predictions = detected(detector, open_detect_view(view), view, split)
        found = detection_metrics(judgement_of(predictions, detector.spec), **DRAWING, confidence=0.9)
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
    files.write_jsonl(results / "predictions.jsonl", predictions)
    files.write_json(results / "metrics.json", metrics)
    return metrics


Judge = Callable[[Path, Path, Path], dict[str, float]]
Compete = Callable[[Path, Path, Path, CompareParams], Contest]


@pytest.fixture(params=["classify", "detect"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Judge, Compete]:
    """Leave two untrained bundles, `older` and `newer`, and their view."""
    view, of_task = tmp_path / "view", str(request.param)
    if of_task == "classify":
        bundles.make_view(view, pictures_per_split=10)
        for seed, name in enumerate(("older", "newer")):
            bundles.make_bundle(tmp_path / name, view, seed=seed)
        return "f1_macro", judge_classifier, classify.contest
    toy_views.make_detect_view(view, num_samples=24)
    for seed, name in enumerate(("older", "newer")):
        bundles.make_detect_bundle(tmp_path / name, view, seed=seed)
    return "map_50", judge_detector, detect.contest


def test_both_are_judged_as_the_stages_judge(task: tuple[str, Judge, Compete], tmp_path: Path) -> None:
    metric, judge, compete = task
    view, results = tmp_path / "view", tmp_path / "results"
    older = judge(tmp_path / "older", view, tmp_path / "of_older")
    newer = judge(tmp_path / "newer", view, results)
    found = compete(tmp_path / "older", results, view, PARAMS)
    assert found.val is not None
    assert found.test is not None
    assert found.difference is not None
    assert found.val.value == older[f"val/{metric}"]
    assert (found.test.value, found.test.ci_low) == (older[f"test/{metric}"], older[f"test/{metric}/ci_low"])
    assert found.difference.value == newer[f"test/{metric}"] - older[f"test/{metric}"] != 0
    assert found.difference.ci_low is not None
    assert found.difference.ci_high is not None
    assert found.difference.ci_low < found.difference.ci_high


def test_a_model_does_not_differ_from_itself(task: tuple[str, Judge, Compete], tmp_path: Path) -> None:
    _, judge, compete = task
    judge(tmp_path / "older", tmp_path / "view", tmp_path / "results")
    difference = compete(tmp_path / "older", tmp_path / "results", tmp_path / "view", PARAMS).difference
    assert difference is not None
    assert (difference.value, difference.ci_low, difference.ci_high) == (0.0, 0.0, 0.0)


def test_a_damaged_champion_is_an_error_of_the_model(
    task: tuple[str, Judge, Compete], tmp_path: Path
) -> None:
    (tmp_path / "older" / WEIGHTS_FILE).write_bytes(b"x")
    with pytest.raises(ModelError):
        task[2](tmp_path / "older", tmp_path / "results", tmp_path / "view", PARAMS)
