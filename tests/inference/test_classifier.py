"""A bundle is read strictly, and a view is scored in its own order."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from bundles import make_bundle, make_view

from cnnpipe import files
from cnnpipe.augmentation.preprocess import fit_square
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.errors import ModelError
from cnnpipe.inference.classifier import load_classifier, predict_view
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec


@pytest.fixture
def view(tmp_path: Path) -> Path:
    folder = tmp_path / "view"
    make_view(folder, pictures_per_split=40)  # 80 samples: more than one batch
    return folder


@pytest.fixture
def bundle(tmp_path: Path, view: Path) -> Path:
    folder = tmp_path / "model"
    make_bundle(folder, view)
    return folder


def test_scores_are_those_of_each_picture_alone_in_the_views_order(view: Path, bundle: Path) -> None:
    classifier = load_classifier(bundle)
    scores_NK = predict_view(classifier, view, "test")
    opened = open_view(view)
    positions = positions_of(opened, "test")
    assert scores_NK.shape == (80, 3)
    assert scores_NK.dtype == np.float64
    for row, position in ((0, positions[0]), (79, positions[79])):
        square = fit_square(picture_at(opened, position), side_px=32, fit="letterbox")
        picture = torch.from_numpy(square).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            expected = classifier.network((picture / 255 - 0.5) / 0.25).softmax(dim=1)[0]
        np.testing.assert_allclose(scores_NK[row], expected.numpy(), atol=1e-5)


def test_scores_sum_to_one_and_come_out_the_same_again(view: Path, bundle: Path) -> None:
    first = predict_view(load_classifier(bundle), view, "val")
    np.testing.assert_allclose(first.sum(axis=1), 1.0, atol=1e-12)
    torch.set_num_threads(2)
    np.testing.assert_array_equal(predict_view(load_classifier(bundle), view, "val"), first)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_a_split_without_samples_has_no_scores(tmp_path: Path, bundle: Path) -> None:
    make_view(tmp_path / "short", pictures_per_split=2, splits=["train"])
    assert predict_view(load_classifier(bundle), tmp_path / "short", "test").shape == (0, 3)


def test_a_bundle_without_its_files_is_refused(bundle: Path) -> None:
    (bundle / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read"):
        load_classifier(bundle)
    (bundle / MODEL_FILE).unlink()
    with pytest.raises(ModelError, match=r"model\.json: file not found"):
        load_classifier(bundle)


def test_a_model_file_cut_off_is_refused(bundle: Path) -> None:
    path = bundle / MODEL_FILE
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ModelError, match=r"model\.json") as caught:
        load_classifier(bundle)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"network": "letter"}, "'letter' is not known", id="network of another version"),
        pytest.param({"classes": ["boot", "coat"]}, r"size mismatch for output\.weight", id="other classes"),
        pytest.param({"weights_sha256": "00"}, "SHA-256 differs", id="weights of another training"),
    ],
)
def test_a_model_file_that_does_not_fit_its_weights_is_refused(
    bundle: Path, change: dict[str, Any], message: str
) -> None:
    spec = files.read_json(bundle / MODEL_FILE, ModelSpec)
    files.write_json(bundle / MODEL_FILE, msgspec.structs.replace(spec, **change))
    with pytest.raises(ModelError, match=message):
        load_classifier(bundle)
