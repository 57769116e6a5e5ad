"""The logged model, loaded back as anybody would: the scores are those of the pipeline."""

import io
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from bundles import make_bundle, make_view
from PIL import Image

from cnnpipe import files
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.errors import DataError
from cnnpipe.inference.classifier import load_classifier, predict_view
from cnnpipe.tracking.projection import ensure_run
from cnnpipe.tracking.served import ServedClassifier
from cnnpipe.tracking.store import open_store

CLASSES = ("boot", "c++", "靴")


@pytest.fixture
def model_dir(project_with_store: Path) -> Path:
    make_view(Path("view"), pictures_per_split=2, classes=CLASSES)
    make_bundle(Path("models/lenet"), Path("view"), classes=CLASSES)
    files.write_json(Path("results/lenet/metrics.json"), {"test/accuracy": 0.5})
    return Path("models/lenet")


def as_png(picture_HWC: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture_HWC).save(file, "PNG")
    return file.getvalue()


def test_a_model_that_is_loaded_back_gives_the_same_scores(
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


def test_no_picture_gives_no_row(model_dir: Path) -> None:
    served = ServedClassifier(load_classifier(model_dir))
    assert served.predict(pd.DataFrame({"image": []})).shape == (0, 3)


def test_bytes_that_are_no_picture_are_refused(model_dir: Path) -> None:
    served = ServedClassifier(load_classifier(model_dir))
    with pytest.raises(DataError, match="cannot be read as a picture"):
        served.predict(pd.DataFrame({"image": [b"no picture"]}))
