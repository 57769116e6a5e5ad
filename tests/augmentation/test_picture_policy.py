"""What only pictures without boxes take, and hue: off changes nothing, on does what it says."""

from typing import Any

import numpy as np
import pytest

from cnnpipe.augmentation.policy import Augment, build_augmentation
from cnnpipe.augmentation.preprocess import FILL, Picture, build_preprocess
from cnnpipe.geometry.placement import Fit
from cnnpipe.params.augmentation import AugmentationParams, PictureAugmentationParams

NOTHING: dict[str, Any] = {
    "crop_scale": 1.0,
    "flip_horizontal": 0.0,
    "flip_vertical": 0.0,
    "translate_fraction": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
USUAL = NOTHING | {"crop_scale": 0.6, "flip_horizontal": 0.5, "translate_fraction": 0.1, "contrast": 0.3}
EXTRAS: dict[str, dict[str, Any]] = {
    "crop_from_px": {"crop_from_px": 40},
    "crop_ratio": {"crop_ratio": 1.5},
    "rotation": {"rotation_degrees": 30.0},
    "cutout": {"cutout": {"holes": 2, "side_fraction": 0.25}},
    "hue": {"hue": 0.2},
}


def policy(*, side_px: int = 32, channels: int = 3, fit: Fit = "letterbox", **changes: Any) -> Augment:
    params = PictureAugmentationParams.model_validate(NOTHING | changes)
    return build_augmentation(params, side_px=side_px, channels=channels, fit=fit)


def noise(height: int, width: int, *, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def coordinates(side: int) -> Picture:
    """Return a square whose pixels say where they were: y in the first channel, x in the second."""
    y, x = np.mgrid[:side, :side]
    return np.stack([y, x, np.zeros_like(y)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_left_out_changes_nothing(channels: int, fit: Fit) -> None:
    before = build_augmentation(AugmentationParams(**USUAL), side_px=32, channels=channels, fit=fit)
    off = {"hue": 0.0, "crop_ratio": 1.0, "rotation_degrees": 0.0, "cutout": None, "crop_from_px": None}
    now = policy(channels=channels, fit=fit, **(USUAL | off))
    for seed in range(20):
        picture = noise(40, 30, seed=seed)
        assert (now(picture, seed) == before(picture, seed)).all()


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_seeds_give_equal_pictures_of_the_wanted_size(extra: str, channels: int) -> None:
    changes = USUAL | EXTRAS[extra]
    augment, again = policy(channels=channels, **changes), policy(channels=channels, **changes)
    picture = noise(50, 37)
    picture.flags.writeable = False  # as pixels mapped from a pack
    forwards = [augment(picture, seed) for seed in range(10)]
    backwards = [again(picture, seed) for seed in reversed(range(10))][::-1]
    assert all((one == other).all() for one, other in zip(forwards, backwards, strict=True))
    assert {(p.shape, p.dtype) for p in forwards} == {((32, 32, channels), np.dtype(np.uint8))}
    assert len({p.tobytes() for p in forwards}) == 10


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_changes_the_picture(extra: str) -> None:
    with_it, without = policy(**(USUAL | EXTRAS[extra])), policy(**USUAL)
    picture = noise(50, 50)
    assert sum((with_it(picture, seed) != without(picture, seed)).any() for seed in range(10)) >= 9


def test_crops_of_a_square_are_the_square_at_any_place() -> None:
    augment, picture = policy(side_px=28, crop_from_px=32), coordinates(64)
    square = build_preprocess(side_px=32, channels=3, fit="letterbox")(picture)
    places = set()
    for seed in range(200):
        crop = augment(picture, seed)
        top, left = round((crop[0, 0, 0] - square[0, 0, 0]) / 2), round((crop[0, 0, 1] - square[0, 0, 1]) / 2)
        assert (crop == square[top : top + 28, left : left + 28]).all()
        places.add((top, left))
    assert {y for y, _ in places} == set(range(5))
    assert {x for _, x in places} == set(range(5))


def test_a_crop_of_the_whole_square_is_the_square() -> None:
    picture = noise(50, 50)
    assert (policy(crop_from_px=32)(picture, 0) == policy()(picture, 0)).all()


def test_proportions_change_up_to_their_ratio_and_the_area_stays() -> None:
    augment, picture = policy(side_px=200, crop_scale=0.5, crop_ratio=1.5), coordinates(200)
    ratios = []
    for seed in range(300):
        crop = augment(picture, seed).astype(int)
        height, width = np.ptp(crop[:, :, 0]) + 1, np.ptp(crop[:, :, 1]) + 1
        assert 0.49 <= height * width / 200**2 <= 1.0
        ratios.append(width / height)
    assert 1 / 1.53 < min(ratios) < 0.75
    assert 1.33 < max(ratios) < 1.53
    assert np.mean(np.log(ratios)) == pytest.approx(0.0, abs=0.03)  # neither way more often


def test_a_crop_of_everything_has_no_room_for_other_proportions() -> None:
    picture = noise(40, 40)
    assert (policy(crop_ratio=2.0)(picture, 3) == policy()(picture, 3)).all()


def test_a_turn_is_about_the_middle_and_bares_the_fill_colour() -> None:
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[26:38, 60:] = 255  # a mark at the right edge
    augment = policy(side_px=64, rotation_degrees=30.0)
    angles = []
    for seed in range(200):
        turned = augment(picture, seed)
        y, x = np.nonzero(turned[:, :, 0] > 200)
        angles.append(np.degrees(np.arctan2(31.5 - y.mean(), x.mean() - 31.5)))
        bare = (turned == FILL).all(axis=2)
        assert not bare[16:48, 16:48].any()
        if abs(angles[-1]) > 4.0:
            assert bare[[0, 0, -1, -1], [0, -1, 0, -1]].all()  # the corners
    assert -33 < min(angles) < -25
    assert 25 < max(angles) < 33
    assert abs(np.mean(angles)) < 5


def test_holes_have_the_fill_colour_their_side_and_any_place() -> None:
    picture = np.full((40, 40, 3), 7, dtype=np.uint8)
    augment = policy(side_px=40, cutout={"holes": 1, "side_fraction": 0.25})
    middles = []
    for seed in range(300):
        holed = augment(picture, seed)
        is_hole = (holed == FILL).all(axis=2)
        assert (holed[~is_hole] == 7).all()
        y, x = np.nonzero(is_hole)
        assert [int(np.ptp(y)), int(np.ptp(x)), int(is_hole.sum())] == [9, 9, 100]
        middles.append((y.mean(), x.mean()))
    assert np.min(middles) == 4.5
    assert np.max(middles) == 34.5


def test_there_are_as_many_holes_as_asked() -> None:
    picture = np.zeros((100, 100, 3), dtype=np.uint8)
    augment = policy(side_px=100, cutout={"holes": 3, "side_fraction": 0.1})
    areas = [(augment(picture, seed) == FILL).all(axis=2).sum() for seed in range(50)]
    assert max(areas) == 300
    assert min(areas) > 100


def test_colours_do_not_change_holes() -> None:
    augment = policy(brightness=0.9, hue=0.5, cutout={"holes": 1, "side_fraction": 0.5})
    for seed in range(20):
        assert (augment(np.zeros((32, 32, 3), dtype=np.uint8), seed) == FILL).all(axis=2).sum() == 256


def test_hue_turns_the_circle_of_colours_and_leaves_grey() -> None:
    red = np.full((32, 32, 3), (200, 40, 40), dtype=np.uint8)
    colours = [policy(hue=0.1)(red, seed)[0, 0].astype(int) for seed in range(100)]
    assert all(colour.max() >= 195 and colour.min() <= 45 for colour in colours)
    assert max(colour[1] for colour in colours) > 100  # towards yellow: 0.1 of the circle is 36 of 60 degrees
    assert max(colour[2] for colour in colours) > 100  # towards magenta
    assert all(colour[0] >= 195 for colour in colours)
    grey = np.full((32, 32, 1), 77, dtype=np.uint8)
    assert (policy(channels=1, hue=0.5)(grey, 1) == 77).all()
