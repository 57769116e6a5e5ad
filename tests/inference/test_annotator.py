"""An annotator says of pictures what the pipeline says of a view, whatever batch they come in."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from bundles import make_bundle, make_detect_bundle, make_view

from cnnpipe import files
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.errors import ModelError, ParamsError
from cnnpipe.inference.annotator import Annotator, open_annotator
from cnnpipe.inference.classifier import load_classifier, predict_view
from cnnpipe.inference.detector import detect_pictures, load_detector
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec

CLASSES = ("ant", "bee", "cat")


@pytest.fixture
def view(tmp_path: Path) -> Path:
    make_view(tmp_path / "view", pictures_per_split=4)
    return tmp_path / "view"


@pytest.fixture
def detector_dir(tmp_path: Path, view: Path) -> Path:
    make_detect_bundle(tmp_path / "fcos", view, classes=CLASSES)
    return tmp_path / "fcos"


@pytest.fixture
def classifier_dir(tmp_path: Path, view: Path) -> Path:
    make_bundle(tmp_path / "lenet", view)
    return tmp_path / "lenet"


def noises() -> list[Picture]:
    generator = np.random.default_rng(0)
    sizes = [(40, 90), (200, 120), (1, 1), (33, 32), (64, 64)]
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def with_thresholds(folder: Path, thresholds: dict[str, float]) -> None:
    spec = files.read_json(folder / MODEL_FILE, ModelSpec)
    files.write_json(folder / MODEL_FILE, msgspec.structs.replace(spec, thresholds=thresholds))


def counts_of(annotator: Annotator) -> dict[str, int]:
    found = [each.label for answer in annotator.annotate(noises()) for each in answer.detections or ()]
    return {label: found.count(label) for label in CLASSES}


def test_a_classifier_gives_the_scores_of_evaluate(view: Path, classifier_dir: Path) -> None:
    opened = open_view(view)
    pictures = [picture_at(opened, position) for position in positions_of(opened, "test")]
    answers = open_annotator(classifier_dir).annotate(pictures)
    scores_NK = [list((answer.scores or {}).values()) for answer in answers]
    expected_NK = predict_view(load_classifier(classifier_dir), view, "test")
    np.testing.assert_allclose(scores_NK, expected_NK, atol=1e-6)
    assert {answer.detections for answer in answers} == {None}
    assert [*(answers[0].scores or {})] == ["boot", "coat", "dress"]


def test_a_picture_gets_the_same_answer_alone_and_in_a_batch(
    classifier_dir: Path, detector_dir: Path
) -> None:
    for folder in (classifier_dir, detector_dir):
        annotator = open_annotator(folder)
        together = annotator.annotate(noises())
        alone = [annotator.annotate([picture])[0] for picture in noises()]
        for one, other in zip(together, alone, strict=True):
            assert (one.scores or {}) == pytest.approx(other.scores or {}, abs=1e-5)
            found, expected = one.detections or [], other.detections or []
            assert [each.label for each in found] == [each.label for each in expected]
            assert [each.score for each in found] == pytest.approx(
                [each.score for each in expected], abs=1e-5
            )


def test_no_picture_has_no_answer(classifier_dir: Path, detector_dir: Path) -> None:
    assert open_annotator(classifier_dir).annotate([]) == []
    assert open_annotator(detector_dir).annotate([]) == []


def test_boxes_lie_in_their_picture_the_best_first(detector_dir: Path) -> None:
    pictures = noises()
    for picture, answer in zip(pictures, open_annotator(detector_dir).annotate(pictures), strict=True):
        found = answer.detections or []
        assert sorted(found, key=lambda each: -each.score) == found
        for each in found:
            assert 0 <= each.box.x_min < each.box.x_max <= picture.shape[1]
            assert 0 <= each.box.y_min < each.box.y_max <= picture.shape[0]


def test_the_thresholds_are_those_of_each_class(detector_dir: Path) -> None:
    all_counts = counts_of(open_annotator(detector_dir, threshold=0.05))
    scores = sorted(
        score
        for found in detect_pictures(load_detector(detector_dir), noises())
        for score, index in zip(found.scores_N, found.class_index_N, strict=True)
        if index == 2
    )
    assert len(scores) > 1
    with_thresholds(detector_dir, {"ant": 1.0, "bee": 0.0, "cat": float(scores[-1])})
    assert counts_of(open_annotator(detector_dir)) == {"ant": 0, "bee": all_counts["bee"], "cat": 1}


def test_a_class_without_a_threshold_has_one_half(detector_dir: Path) -> None:
    with_thresholds(detector_dir, {})
    assert counts_of(open_annotator(detector_dir)) == dict.fromkeys(CLASSES, 0)


def test_a_threshold_that_cannot_be_is_refused(classifier_dir: Path, detector_dir: Path) -> None:
    with pytest.raises(ParamsError, match="--threshold: is for detectors, and this model is none"):
        open_annotator(classifier_dir, threshold=0.5)
    with pytest.raises(ParamsError, match=r"is 0\.01, and the model gives no box of a score below 0\.05"):
        open_annotator(detector_dir, threshold=0.01)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.json: file not found\n  fix: name the folder of a trained"):
        open_annotator(tmp_path)
