"""A detector's bundle is read strictly, and boxes come back on the pictures that were given."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from bundles import make_bundle, make_detect_bundle, make_view
from toy_views import make_detect_view, noise

from cnnpipe import files
from cnnpipe.augmentation.preprocess import fit_square
from cnnpipe.datasets.packs import open_detect_view, picture_at, positions_of
from cnnpipe.errors import ModelError
from cnnpipe.inference.detector import Detector, detect_pictures, detect_view, load_detector
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detect") / "view"
    make_detect_view(folder, splits=("val", "train"), num_samples=36, copies=1)
    return folder


@pytest.fixture(scope="module")
def bundle(view: Path) -> Path:
    folder = view.parent / "model"
    make_detect_bundle(folder, view)
    return folder


@pytest.fixture(scope="module")
def detector(bundle: Path) -> Detector:
    """Return a detector that finds boxes of a good size: an untrained one finds specks."""
    loaded = load_detector(bundle)
    bias = loaded.network.get_submodule("detector.head.regression_head.bbox_reg").bias
    assert isinstance(bias, torch.Tensor)
    torch.nn.init.constant_(bias, 1.0)
    return loaded


@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 40), (30, 200), (1, 1), (500, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_boxes_lie_on_the_picture_with_the_best_first(
    detector: Detector, width: int, height: int, channels: int
) -> None:
    (found,) = detect_pictures(detector, [noise(height, width, channels, seed=1)])
    assert [each.dtype for each in found] == [np.float64, np.float64, np.int64]
    assert found.boxes_N4.shape == (len(found.scores_N), 4)
    assert len(found.class_index_N) == len(found.scores_N) > 0
    assert (found.boxes_N4 >= 0).all()
    assert (found.boxes_N4 <= [width, height, width, height]).all()
    assert (found.boxes_N4[:, 2:] > found.boxes_N4[:, :2]).all()
    assert (np.diff(found.scores_N) <= 0).all()


def test_a_letterboxed_box_goes_back_by_scale_and_margin(detector: Detector) -> None:
    """A picture of 128 x 64 lies at half its size 16 px below the top of the square."""
    picture = noise(64, 128, 3, seed=2)
    square = torch.from_numpy(fit_square(picture, side_px=64, fit="letterbox")).permute(2, 0, 1)[None]
    with torch.inference_mode():
        ((on_square_N4, scores_N, _),) = detector.network((square.float() / 255 - 0.5) / 0.5)
    expected_N4 = ((on_square_N4 - torch.tensor([0.0, 16.0, 0.0, 16.0])) * 2).double().numpy()
    expected_N4 = expected_N4.clip(0, [128, 64, 128, 64])
    has_area_N = (expected_N4[:, 2:] > expected_N4[:, :2]).all(axis=1)
    (found,) = detect_pictures(detector, [picture])
    np.testing.assert_allclose(found.boxes_N4, expected_N4[has_area_N], atol=1e-3)
    np.testing.assert_allclose(found.scores_N, scores_N.numpy()[has_area_N], atol=1e-5)


def test_a_picture_is_judged_alike_alone_and_among_others(detector: Detector) -> None:
    pictures = [noise(64, 64, 3, seed=3), noise(20, 90, 1, seed=4), noise(64, 64, 3, seed=5)]
    together = detect_pictures(detector, pictures)
    for picture, found in zip(pictures, together, strict=True):
        (alone,) = detect_pictures(detector, [picture])
        np.testing.assert_allclose(found.scores_N, alone.scores_N, atol=1e-5)


def test_no_picture_gives_nothing(detector: Detector) -> None:
    assert detect_pictures(detector, []) == []


def test_a_view_is_read_in_its_order_without_copies_and_told_in_original_pixels(
    detector: Detector, view: Path
) -> None:
    opened = open_detect_view(view)
    originals = [at for at in positions_of(opened, "train") if opened.samples[at].copy == 0]
    found = detect_view(detector, view, "train")
    assert len(found) == len(originals) == 18  # more than one batch
    for at, seen in ((originals[0], found[0]), (originals[17], found[17])):
        (packed,) = detect_pictures(detector, [picture_at(opened, at)])
        np.testing.assert_allclose(seen.scores_N, packed.scores_N, atol=1e-5)
        np.testing.assert_allclose(seen.boxes_N4, 2 * packed.boxes_N4, atol=1e-3)
        sample = opened.samples[at]
        assert (seen.boxes_N4[:, 2:] <= [sample.original_width, sample.original_height]).all()
    assert detect_view(detector, view, "test") == []


def test_boxes_come_out_the_same_again_whatever_the_threads(detector: Detector, view: Path) -> None:
    first = detect_view(detector, view, "val")
    torch.set_num_threads(2)
    again = detect_view(detector, view, "val")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.boxes_N4, other.boxes_N4)


def test_a_bundle_without_its_files_is_refused(view: Path, tmp_path: Path) -> None:
    make_detect_bundle(tmp_path, view)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read"):
        load_detector(tmp_path)
    (tmp_path / MODEL_FILE).unlink()
    with pytest.raises(ModelError, match=r"model\.json: file not found"):
        load_detector(tmp_path)


def test_a_classifier_is_no_detector(tmp_path: Path) -> None:
    make_view(tmp_path / "view", pictures_per_split=2)
    make_bundle(tmp_path / "model", tmp_path / "view")
    with pytest.raises(ModelError, match=r"model\.json: the model is of task classify, not detect") as caught:
        load_detector(tmp_path / "model")
    assert caught.value.exit_code == 4


def test_a_spec_of_other_classes_does_not_fit_the_weights(view: Path, tmp_path: Path) -> None:
    make_detect_bundle(tmp_path, view)
    spec = files.read_json(tmp_path / MODEL_FILE, ModelSpec)
    files.write_json(tmp_path / MODEL_FILE, msgspec.structs.replace(spec, classes=["ant"]))
    with pytest.raises(ModelError, match=r"does not fit the network: .*cls_logits"):
        load_detector(tmp_path)
