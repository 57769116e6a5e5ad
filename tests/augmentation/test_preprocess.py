import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnnpipe.augmentation.preprocess import (
    FILL,
    Picture,
    build_preprocess,
    fit_square,
    resize,
    to_channels,
)
from cnnpipe.geometry.placement import Fit


def noise(height: int, width: int, channels: int = 3, *, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([1, 3]),
    st.integers(8, 40),
    st.sampled_from([1, 3]),
    st.sampled_from(["letterbox", "stretch"]),
)
def test_a_picture_of_any_size_becomes_the_square_of_the_network(
    height: int, width: int, stored: int, side_px: int, channels: int, fit: Fit
) -> None:
    fitted = build_preprocess(side_px=side_px, channels=channels, fit=fit)(noise(height, width, stored))
    assert fitted.shape == (side_px, side_px, channels)
    assert fitted.dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_letterbox_keeps_proportions_between_grey_bars(channels: int) -> None:
    picture = np.full((20, 40, channels), 250, dtype=np.uint8)
    fitted = fit_square(picture, side_px=16, fit="letterbox")
    assert (fitted[4:12] == 250).all()
    assert (fitted[:4] == FILL).all()
    assert (fitted[12:] == FILL).all()
    upright = fit_square(picture.transpose(1, 0, 2), side_px=16, fit="letterbox")
    assert (upright == fitted.transpose(1, 0, 2)).all()


def test_stretch_fills_the_square() -> None:
    picture = np.zeros((20, 40, 3), dtype=np.uint8)
    picture[:, 20:] = 200
    fitted = fit_square(picture, side_px=10, fit="stretch")
    assert (fitted[:, :5] == 0).all()
    assert (fitted[:, 5:] == 200).all()


def test_grey_is_that_of_pillow() -> None:
    picture = noise(30, 30)
    grey = to_channels(picture, 1)
    expected = np.asarray(Image.fromarray(picture).convert("L"), dtype=int)
    assert grey.shape == (30, 30, 1)
    assert np.abs(grey[:, :, 0].astype(int) - expected).max() <= 1


def test_grey_becomes_three_equal_channels() -> None:
    grey = noise(5, 7, 1)
    assert (to_channels(grey, 3) == grey.repeat(3, axis=2)).all()


@pytest.mark.parametrize(("down", "across"), [(2, 2), (3, 3), (5, 5), (4, 1), (1, 4)])
def test_shrinking_by_whole_factors_averages_blocks(down: int, across: int) -> None:
    picture = noise(6 * down, 4 * across)
    blocks = picture.reshape(6, down, 4, across, 3).mean(axis=(1, 3))
    assert np.abs(resize(picture, width=4, height=6) - blocks).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("width", "height"), [(90, 80), (180, 40), (100, 131)])
def test_growing_is_the_bilinear_interpolation_of_pillow(width: int, height: int) -> None:
    picture = noise(40, 45)
    expected = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    difference = resize(picture, width=width, height=height) - np.asarray(expected, dtype=float)
    assert np.abs(difference).max() <= 2


def test_shrinking_a_little_does_not_move_the_picture() -> None:
    ramp = np.add.outer(np.arange(40) * 2, np.arange(45) * 3)[:, :, None].astype(np.uint8)
    y, x = (np.arange(27) + 0.5) * 40 / 27 - 0.5, (np.arange(31) + 0.5) * 45 / 31 - 0.5
    assert np.abs(resize(ramp, width=31, height=27)[:, :, 0] - np.add.outer(2 * y, 3 * x)).max() <= 1


def test_a_picture_of_the_right_size_is_not_changed() -> None:
    picture = noise(24, 24)
    assert (build_preprocess(side_px=24, channels=3, fit="letterbox")(picture) == picture).all()
