import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import pytest

from cnnpipe.augmentation.pipelines import refuse_albumentationsx
from cnnpipe.augmentation.policy import Augment, build_augmentation, build_crop_flip
from cnnpipe.augmentation.preprocess import FILL, Picture, build_preprocess
from cnnpipe.errors import CnnpipeError
from cnnpipe.geometry.placement import Fit
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.augmentation import AugmentationParams

NOTHING: dict[str, Any] = {
    "crop_scale": 1.0,
    "flip_horizontal": 0.0,
    "flip_vertical": 0.0,
    "translate_fraction": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
EVERYTHING: dict[str, Any] = {
    "crop_scale": 0.5,
    "flip_horizontal": 0.5,
    "flip_vertical": 0.5,
    "translate_fraction": 0.2,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
}
FITS: tuple[Fit, ...] = ("letterbox", "stretch")


def policy(*, side_px: int = 32, channels: int = 3, fit: Fit = "letterbox", **changes: Any) -> Augment:
    params = AugmentationParams.model_validate(NOTHING | changes)
    return build_augmentation(params, side_px=side_px, channels=channels, fit=fit)


def noise(height: int, width: int, channels: int = 3, *, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def coordinates(side: int) -> Picture:
    """Return a square whose pixels say where they were: y in the first channel, x in the second."""
    y, x = np.mgrid[:side, :side]
    return np.stack([y, x, np.zeros_like(y)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", FITS)
def test_equal_seeds_give_equal_pictures_in_any_order(channels: int, fit: Fit) -> None:
    augment = policy(channels=channels, fit=fit, **EVERYTHING)
    again = policy(channels=channels, fit=fit, **EVERYTHING)
    pictures = [noise(40, 30, seed=i) for i in range(6)]
    forwards = [augment(picture, seed) for seed, picture in enumerate(pictures)]
    backwards = [again(picture, seed) for seed, picture in reversed(list(enumerate(pictures)))][::-1]
    assert all((one == other).all() for one, other in zip(forwards, backwards, strict=True))
    assert all(picture.shape == (32, 32, channels) and picture.dtype == np.uint8 for picture in forwards)


def test_different_seeds_give_different_pictures() -> None:
    augment, picture = policy(**EVERYTHING), noise(40, 40)
    assert len({augment(picture, seed).tobytes() for seed in range(50)}) == 50


def test_the_generators_of_the_process_are_neither_read_nor_moved() -> None:
    augment, picture = policy(**EVERYTHING), noise(40, 40)
    expected = augment(picture, 5)
    random.seed(1)
    np.random.seed(1)
    state = random.getstate()
    assert (augment(picture, 5) == expected).all()
    assert random.getstate() == state
    drawn = np.random.random()
    np.random.seed(1)
    assert np.random.random() == drawn


def test_another_process_draws_the_same() -> None:
    code = f"""
import hashlib, numpy as np
from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.params.augmentation import AugmentationParams
params = AugmentationParams.model_validate({EVERYTHING!r})
augment = build_augmentation(params, side_px=32, channels=3, fit="letterbox")
picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
print(hashlib.sha256(augment(picture, 2**62 + 1).tobytes()).hexdigest())
"""
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", code]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    augment = policy(**EVERYTHING)
    augment(noise(9, 7), 1)
    here = hashlib.sha256(augment(noise(40, 30), 2**62 + 1).tobytes()).hexdigest()
    assert there.strip() == here


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_without_changes_it_is_the_deterministic_way(fit: Fit, channels: int) -> None:
    picture = noise(50, 50)
    expected = build_preprocess(side_px=32, channels=channels, fit=fit)(picture)
    assert (policy(channels=channels, fit=fit)(picture, 3) == expected).all()


def test_a_stretched_picture_of_any_proportions_is_fitted_as_without_changes() -> None:
    picture = noise(30, 70)
    expected = build_preprocess(side_px=32, channels=3, fit="stretch")(picture)
    assert (policy(fit="stretch")(picture, 3) == expected).all()


@pytest.mark.parametrize(
    ("key", "turn"),
    [
        pytest.param("flip_horizontal", lambda p: p[:, ::-1], id="horizontal"),
        pytest.param("flip_vertical", lambda p: p[::-1], id="vertical"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_flips_come_as_often_as_asked(key: str, turn: Callable[[Picture], Picture], channels: int) -> None:
    picture = noise(32, 32, channels)
    changes: dict[str, Any] = {key: 0.25}
    augment = policy(channels=channels, **changes)
    results = [augment(picture, seed) for seed in range(400)]
    flipped = [(result == turn(picture)).all() for result in results]
    assert all(flip or (result == picture).all() for flip, result in zip(flipped, results, strict=True))
    assert 0.18 < np.mean(flipped) < 0.32
    changes = {key: 1.0}
    always, never = policy(channels=channels, **changes), policy(channels=channels)
    assert all((always(picture, seed) == turn(picture)).all() for seed in range(20))
    assert all((never(picture, seed) == picture).all() for seed in range(20))


def test_a_crop_keeps_its_share_of_the_area_and_its_proportions() -> None:
    augment, picture = policy(side_px=200, crop_scale=0.5), coordinates(200)
    shares, lefts, tops = [], [], []
    for seed in range(200):
        cropped = augment(picture, seed).astype(int)
        height, width = np.ptp(cropped[:, :, 0]) + 1, np.ptp(cropped[:, :, 1]) + 1
        assert abs(height - width) <= 1
        shares.append(height * width / 200**2)
        tops.append(cropped[:, :, 0].min() / (201 - height))
        lefts.append(cropped[:, :, 1].min() / (201 - width))
    assert 0.49 <= min(shares) < 0.55
    assert 0.95 < max(shares) <= 1.0
    for starts in (tops, lefts):  # anywhere
        assert min(starts) < 0.1
        assert max(starts) > 0.8
    assert np.corrcoef(tops, lefts)[0, 1] < 0.5


def test_a_shift_is_by_whole_pixels_up_to_its_share_of_the_side() -> None:
    augment = policy(side_px=40, translate_fraction=0.1)
    picture = coordinates(40) + 1
    shifts = []
    for seed in range(200):
        shifted = augment(picture, seed).astype(int)
        assert (shifted[20, 20] <= 40).all()
        dy, dx = 21 - shifted[20, 20, 0], 21 - shifted[20, 20, 1]
        expected = np.full((60, 60, 3), FILL)
        expected[10 + dy : 50 + dy, 10 + dx : 50 + dx] = picture
        assert (shifted == expected[10:50, 10:50]).all()
        shifts.append((dy, dx))
    assert np.min(shifts, axis=0).tolist() == [-4, -4]
    assert np.max(shifts, axis=0).tolist() == [4, 4]


def test_brightness_is_a_factor_within_its_reach() -> None:
    augment = policy(brightness=0.3)
    picture = np.full((32, 32, 3), 100, dtype=np.uint8)
    levels = [float(augment(picture, seed).mean()) for seed in range(200)]
    assert 69 <= min(levels) < 76
    assert 124 < max(levels) <= 131


def test_contrast_moves_values_from_their_mean_and_leaves_it() -> None:
    augment = policy(contrast=0.3)
    picture = np.full((32, 32, 3), 80, dtype=np.uint8)
    picture[:, 16:] = 120
    spreads = []
    for seed in range(100):
        changed = augment(picture, seed).astype(float)
        assert abs(changed.mean() - 100) <= 1.5
        spreads.append(np.ptp(changed) / 40)
    assert 0.65 <= min(spreads) < 0.8
    assert 1.2 < max(spreads) <= 1.35


def test_saturation_moves_colours_from_grey() -> None:
    augment = policy(saturation=0.5)
    picture = np.full((32, 32, 3), (160, 100, 100), dtype=np.uint8)
    colours = [float(np.ptp(augment(picture, seed)[0, 0].astype(float))) for seed in range(100)]
    assert 28 <= min(colours) < 40
    assert 80 < max(colours) <= 92


def test_saturation_leaves_a_grey_picture() -> None:
    picture = noise(32, 32, 1)
    assert all((policy(channels=1, saturation=1.0)(picture, seed) == picture).all() for seed in range(10))


def test_the_picture_is_not_written_to() -> None:
    picture = noise(32, 32)
    before = picture.copy()
    picture.flags.writeable = False  # as pixels mapped from a pack
    for seed in range(20):
        policy(**EVERYTHING)(picture, seed)
    assert (picture == before).all()


@pytest.mark.parametrize("shape", [(20, 33, 3), (17, 15, 1), (64, 64, 3)])
def test_crop_flip_copies_keep_their_size(shape: tuple[int, int, int]) -> None:
    copy = build_crop_flip(CropFlipParams(crop_scale=0.6, flip_horizontal=0.5, flip_vertical=0.5))
    picture = noise(*shape)
    copies = [copy(picture, seed) for seed in range(10)]
    assert {result.shape for result in copies} == {shape}
    assert len({result.tobytes() for result in copies}) == 10
    assert all((copy(picture, seed) == result).all() for seed, result in enumerate(copies))


def test_crop_flip_without_crop_or_flip_changes_nothing() -> None:
    picture = noise(20, 33)
    same = build_crop_flip(CropFlipParams(crop_scale=1.0, flip_horizontal=0.0, flip_vertical=0.0))
    assert (same(picture, 4) == picture).all()


def test_albumentationsx_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_albumentationsx()  # it is not here
    monkeypatch.setattr(metadata, "version", {"albumentationsx": "2.1.0"}.__getitem__)
    with pytest.raises(CnnpipeError, match=r"albumentationsx 2\.1\.0 \(AGPL.*\n.*pip uninstall"):
        policy()
    with pytest.raises(CnnpipeError, match="albumentationsx"):
        build_crop_flip(CropFlipParams(crop_scale=1.0, flip_horizontal=0.0, flip_vertical=0.0))
