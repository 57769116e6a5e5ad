"""The logged model, loaded back as anybody would: its answers are those of the pipeline."""

import io
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from bundles import make_bundle, make_detect_bundle, make_view
from mlflow.pyfunc.scoring_server import predictions_to_json
from PIL import Image

from cnnpipe import files
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.errors import DataError, ModelError, StorageError
from cnnpipe.inference.annotator import open_annotator
from cnnpipe.inference.classifier import load_classifier, predict_view
from cnnpipe.inference.detector import detect_pictures, load_detector
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE
from cnnpipe.tracking.fetched_bundle import fetched_bundle
from cnnpipe.tracking.projection import ensure_run
from cnnpipe.tracking.served import ServedModel
from cnnpipe.tracking.store import open_store

CLASSES = ("boot", "c++", "靴")


@pytest.fixture
def model_dir(project_with_store: Path) -> Path:
    make_view(Path("view"), pictures_per_split=2, classes=CLASSES)
    make_bundle(Path("models/lenet"), Path("view"), classes=CLASSES)
    files.write_json(Path("results/lenet/metrics.json"), {"test/accuracy": 0.5})
    return Path("models/lenet")


@pytest.fixture
def detector_dir(project_with_store: Path) -> Path:
    make_view(Path("view"), pictures_per_split=2, classes=CLASSES)
    make_detect_bundle(Path("models/fcos"), Path("view"), classes=CLASSES)
    files.write_json(Path("results/fcos/metrics.json"), {"test/map_50": 0.5})
    return Path("models/fcos")


def as_png(picture_HWC: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture_HWC).save(file, "PNG")
    return file.getvalue()


def fetch(address: str) -> None:
    with fetched_bundle(address):
        pass


def noise(seed: int, *, width: int = 90, height: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_classifier_that_is_loaded_back_gives_the_same_scores(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ensure_run(model_dir, Path("results/lenet"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", open_store().uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    opened = open_view(Path("view"))
    pictures = [as_png(picture_at(opened, position)) for position in positions_of(opened, "test")]
    scores = model.predict(pd.DataFrame({"image": pictures}))
    assert list(scores.columns) == list(CLASSES)
    expected_NK = predict_view(load_classifier(model_dir), Path("view"), "test")
    np.testing.assert_allclose(scores.to_numpy(), expected_NK, atol=1e-6)


def test_a_detector_is_loaded_back_from_its_run_and_from_the_registry(
    detector_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ensure_run(detector_dir, Path("results/fcos"))
    uri = open_store().uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    version = mlflow.register_model(f"runs:/{run_id}/model", "boots").version
    mlflow.MlflowClient(uri).set_registered_model_alias("boots", "champion", version)
    table = pd.DataFrame({"image": [as_png(noise(1)), as_png(noise(2))]})
    expected = [detections_of(detector_dir, noise(seed)) for seed in (1, 2)]
    assert any(expected), "the bundle finds nothing at all"
    for address in (f"runs:/{run_id}/model", f"models:/boots/{version}", "models:/boots@champion"):
        found = mlflow.pyfunc.load_model(address).predict(table)
        assert list(found.columns) == ["detections"]
        assert [len(row) for row in found["detections"]] == [len(row) for row in expected]
        for row, expected_row in zip(found["detections"], expected, strict=True):
            for each, expected_each in zip(row, expected_row, strict=True):
                assert each["label"] == expected_each["label"]
                assert each["score"] == pytest.approx(expected_each["score"], abs=1e-6)
                assert each["box"] == pytest.approx(expected_each["box"], abs=0.02)


def detections_of(detector_dir: Path, picture: np.ndarray) -> list[dict[str, Any]]:
    """Return what stands above the thresholds of the bundle, found without the annotator."""
    detector = load_detector(detector_dir)
    [found] = detect_pictures(detector, [picture])
    rows = zip(found.boxes_N4, found.scores_N, found.class_index_N, strict=True)
    named = [(box, score, detector.spec.classes[index]) for box, score, index in rows]
    return [
        {"label": label, "score": score, "box": box.tolist()}
        for box, score, label in named
        if score >= detector.spec.thresholds[label]
    ]


def test_the_answer_of_a_detector_goes_over_http_as_json(detector_dir: Path) -> None:
    answer = ServedModel(open_annotator(detector_dir)).predict(pd.DataFrame({"image": [as_png(noise(1))]}))
    sent = io.StringIO()
    predictions_to_json(answer, sent)  # type: ignore[no-untyped-call]
    assert '"detections": [{"label": ' in sent.getvalue()
    assert '"box": [' in sent.getvalue()


def test_no_picture_gives_no_row(model_dir: Path) -> None:
    served = ServedModel(open_annotator(model_dir))
    assert served.predict(pd.DataFrame({"image": []})).shape == (0, 3)


def test_no_picture_gives_no_row_of_detections(detector_dir: Path) -> None:
    served = ServedModel(open_annotator(detector_dir))
    assert served.predict(pd.DataFrame({"image": []})).shape == (0, 1)


def test_bytes_that_are_no_picture_are_refused(model_dir: Path) -> None:
    served = ServedModel(open_annotator(model_dir))
    with pytest.raises(DataError, match="cannot be read as a picture"):
        served.predict(pd.DataFrame({"image": [b"no picture"]}))


def test_a_bundle_is_fetched_from_its_run_and_gone_afterwards(model_dir: Path) -> None:
    run_id = ensure_run(model_dir, Path("results/lenet"))
    with fetched_bundle(f"runs:/{run_id}/model") as folder:
        for name in (MODEL_FILE, WEIGHTS_FILE):
            assert (folder / name).read_bytes() == (model_dir / name).read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize("address", ["runs:/0123/model", "models:/none/1", "models:/none@champion", "runs:/"])
def test_an_address_of_no_model_is_refused(model_dir: Path, address: str) -> None:
    open_store()
    with pytest.raises(ModelError, match=r"cannot be had from sqlite:(.|\n)*fix: name runs:/<run id>/model"):
        fetch(address)


def test_a_folder_of_the_store_without_a_model_is_refused(model_dir: Path) -> None:
    ensure_run(model_dir, Path("results/lenet"))
    Path("other").mkdir()
    Path("other/notes.txt").write_text("no model")
    with pytest.raises(ModelError, match=r"holds no model\.json: it is not a model of cnnpipe"):
        fetch(Path("other").absolute().as_uri())


def test_without_a_store_none_is_made(project_dir: Path) -> None:
    with pytest.raises(StorageError, match="there is no such MLflow store") as caught:
        fetch("models:/boots/1")
    assert caught.value.exit_code == 7
    assert list(project_dir.iterdir()) == []


def test_a_server_that_does_not_answer_is_no_fault_of_the_model(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the port of "discard": nobody listens
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageError, match="does not answer"):
        fetch("models:/boots/1")
