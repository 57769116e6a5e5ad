import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cnnpipe.augmentation.boxes import AugmentBoxes, build_box_augmentation, build_box_crop_flip
from cnnpipe.augmentation.policy import Augment, build_augmentation, build_crop_flip
from cnnpipe.augmentation.preprocess import Picture, fit_square
from cnnpipe.geometry.placement import Fit, onto_square, place
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.augmentation import AugmentationParams, DetectAugmentationParams

SIDE_PX = 48
FITS: tuple[Fit, ...] = ("letterbox", "stretch")
NOTHING: dict[str, Any] = {
    "crop_scale": 1.0,
    "flip_horizontal": 0.0,
    "flip_vertical": 0.0,
    "translate_fraction": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
MOVING: dict[str, Any] = NOTHING | {
    "crop_scale": 0.4,
    "flip_horizontal": 0.5,
    "flip_vertical": 0.5,
    "translate_fraction": 0.25,
}
EVERYTHING: dict[str, Any] = MOVING | {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}

Floats = NDArray[np.float64]
seeds = st.integers(0, 2**63 - 1)
sides = st.integers(1, 90)
shares = st.lists(st.tuples(*[st.floats(0.0, 1.0)] * 4), max_size=6)


@functools.cache
def built(fit: Fit, min_visible_fraction: float, **changes: Any) -> AugmentBoxes:
    params = {**NOTHING, **changes, "min_visible_fraction": min_visible_fraction}
    validated = DetectAugmentationParams.model_validate(params)
    return build_box_augmentation(validated, side_px=SIDE_PX, channels=3, fit=fit)


def changer(
    *,
    fit: Fit = "letterbox",
    min_visible_fraction: float = 0.3,
    policy: dict[str, Any] = NOTHING,
    **changes: Any,
) -> AugmentBoxes:
    return built(fit, min_visible_fraction, **policy | changes)


def noise(height: int, width: int, channels: int = 3, *, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def boxes_inside(shares_N4: list[tuple[float, ...]], *, width: int, height: int) -> Floats:
    corners = np.array(shares_N4, dtype=np.float64).reshape(-1, 2, 2)
    boxes_N4 = np.sort(corners, axis=1).reshape(-1, 4) * [width, height, width, height]
    return boxes_N4[areas(boxes_N4) > 0]


def areas(boxes_N4: Floats) -> Floats:
    areas_N: Floats = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1)
    return areas_N


@given(sides, sides, shares, st.sampled_from(FITS), st.sampled_from([0.0, 0.3, 1.0]), seeds)
def test_boxes_are_inside_and_none_is_thinner_than_a_pixel(
    width: int, height: int, drawn: list[tuple[float, ...]], fit: Fit, min_visible_fraction: float, seed: int
) -> None:
    boxes_N4 = boxes_inside(drawn, width=width, height=height)
    augment = changer(fit=fit, min_visible_fraction=min_visible_fraction, policy=MOVING)
    picture, boxes_M4, kept_M = augment(noise(height, width), boxes_N4, seed)
    assert picture.shape == (SIDE_PX, SIDE_PX, 3)
    assert (boxes_M4 >= 0).all()
    assert (boxes_M4 <= SIDE_PX).all()
    assert (boxes_M4[:, 2:] - boxes_M4[:, :2] >= 1 - 1e-6).all()
    assert kept_M.tolist() == sorted(set(kept_M.tolist()))
    assert set(kept_M.tolist()) <= set(range(len(boxes_N4)))
    assert len(boxes_M4) == len(kept_M)


def painted(boxes_N4: Floats, *, height: int, width: int) -> Picture:
    """Return a picture in which box i is of the grey value 20 + 25 i."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for index, (x_min, y_min, x_max, y_max) in enumerate(boxes_N4.astype(int)):
        picture[y_min:y_max, x_min:x_max] = 20 + 25 * index
    return picture


@given(st.permutations(range(9)), st.integers(1, 9), st.sampled_from(FITS), seeds)
def test_a_box_keeps_to_what_is_in_it(order: list[int], number: int, fit: Fit, seed: int) -> None:
    # nine cells of 20 x 14 pixels, none touching the next
    cells = [(2 + 24 * (cell % 3), 2 + 18 * (cell // 3)) for cell in order[:number]]
    boxes_N4 = np.array([(x, y, x + 20, y + 14) for x, y in cells], dtype=np.float64)
    picture, boxes_M4, kept_M = changer(fit=fit, min_visible_fraction=0.0, policy=MOVING)(
        painted(boxes_N4, height=56, width=74), boxes_N4, seed
    )
    for (x_min, y_min, x_max, y_max), index in zip(boxes_M4, kept_M, strict=True):
        centre = picture[int((y_min + y_max) / 2), int((x_min + x_max) / 2)]
        if min(x_max - x_min, y_max - y_min) > 4:  # in a thinner one the edge shines in
            assert abs(int(centre[0]) - (20 + 25 * int(index))) <= 1


@functools.cache
def without_boxes() -> Augment:
    return build_augmentation(AugmentationParams(**EVERYTHING), side_px=SIDE_PX, channels=3, fit="letterbox")


@given(shares, seeds)
def test_pictures_are_those_of_the_policy_without_boxes(drawn: list[tuple[float, ...]], seed: int) -> None:
    picture = noise(40, 30)
    boxes_N4 = boxes_inside(drawn, width=30, height=40)
    augment = changer(policy=EVERYTHING)
    changed, boxes_M4, kept_M = augment(picture, boxes_N4, seed)
    assert (changed == without_boxes()(picture, seed)).all()
    again, same_boxes, same_kept = augment(picture, boxes_N4, seed)
    assert again.tobytes() == changed.tobytes()
    assert same_boxes.tobytes() == boxes_M4.tobytes()
    assert same_kept.tobytes() == kept_M.tobytes()


def without_changes(fit: Fit, picture: Picture) -> Picture:
    square = fit_square(picture, side_px=max(picture.shape), fit=fit) if fit == "letterbox" else picture
    return fit_square(square, side_px=SIDE_PX, fit=fit)


@pytest.mark.parametrize("fit", FITS)
@given(shares)
def test_without_changes_boxes_go_the_deterministic_way(fit: Fit, drawn: list[tuple[float, ...]]) -> None:
    boxes_N4 = boxes_inside(drawn, width=60, height=48)
    picture = noise(48, 60)
    changed, boxes_M4, kept_M = changer(fit=fit)(picture, boxes_N4, 7)
    assert (changed == without_changes(fit, picture)).all()
    if fit == "letterbox":  # on a square of the picture's own size, as the crop wants it
        boxes_N4 = onto_square(boxes_N4, place(60, 48, side_px=60, fit=fit))
    expected = onto_square(boxes_N4, place(60, 60 if fit == "letterbox" else 48, side_px=SIDE_PX, fit=fit))
    np.testing.assert_allclose(boxes_M4, expected[kept_M], atol=1e-9)
    large = (expected[:, 2:] - expected[:, :2] >= 1.0).all(axis=1)
    assert kept_M.tolist() == np.flatnonzero(large).tolist()


@given(shares, st.sampled_from(["flip_horizontal", "flip_vertical"]))
def test_flipped_twice_is_as_it_was(drawn: list[tuple[float, ...]], key: str) -> None:
    boxes_N4 = boxes_inside(drawn, width=SIDE_PX, height=SIDE_PX)
    picture = noise(SIDE_PX, SIDE_PX)
    flip = changer(policy=NOTHING | {key: 1.0})
    once, boxes_M4, kept_M = flip(picture, boxes_N4, 1)
    axis = 1 if key == "flip_horizontal" else 0
    assert (once == np.flip(picture, axis)).all()
    twice, back_M4, all_M = flip(once, boxes_M4, 2)
    assert (twice == picture).all()
    assert all_M.tolist() == list(range(len(boxes_M4)))
    np.testing.assert_allclose(back_M4, boxes_N4[kept_M], atol=1e-9)


def test_a_flip_mirrors_boxes() -> None:
    boxes_14 = np.array([[3.0, 5.0, 20.0, 15.0]])
    _, horizontal, _ = changer(flip_horizontal=1.0)(noise(SIDE_PX, SIDE_PX), boxes_14, 0)
    _, vertical, _ = changer(flip_vertical=1.0)(noise(SIDE_PX, SIDE_PX), boxes_14, 0)
    np.testing.assert_allclose(horizontal, [[28.0, 5.0, 45.0, 15.0]])
    np.testing.assert_allclose(vertical, [[3.0, 33.0, 20.0, 43.0]])


@given(st.sampled_from([0.1, 0.3, 0.5, 0.9]), seeds)
def test_a_box_is_lost_exactly_where_too_little_of_it_is_left(fraction: float, seed: int) -> None:
    """The share that is left is told by the same draws without a threshold, over crop and shift together."""
    picture = np.zeros((SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    boxes_N4 = boxes_inside(rng.uniform(size=(8, 4)).tolist(), width=SIDE_PX, height=SIDE_PX)
    _, every_M4, every_M = changer(min_visible_fraction=0.0, policy=MOVING)(picture, boxes_N4, seed)
    _, _, kept_M = changer(min_visible_fraction=fraction, policy=MOVING)(picture, boxes_N4, seed)
    zoom = zoom_of(seed)
    left_M = areas(every_M4) / (areas(boxes_N4[every_M]) * zoom)
    assert (left_M <= 1 + 1e-6).all()
    for index, left in zip(every_M.tolist(), left_M.tolist(), strict=True):
        if abs(left - fraction) > 1e-6:
            assert (index in kept_M.tolist()) == (left > fraction)


def zoom_of(seed: int) -> float:
    """Return by how much the crop that `seed` draws enlarges areas, told by small uncut boxes."""
    corners = np.stack(np.meshgrid(*[np.arange(0.0, SIDE_PX, 2.0)] * 2), axis=2).reshape(-1, 2)
    only_crop = changer(min_visible_fraction=0.0, crop_scale=MOVING["crop_scale"])
    blank = np.zeros((SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    _, boxes_M4, _ = only_crop(blank, np.concatenate([corners, corners + 2.0], axis=1), seed)
    return float(areas(boxes_M4).max() / 4.0)


def test_every_box_stays_where_all_of_it_must_be_seen_and_nothing_is_cut() -> None:
    boxes_N4 = boxes_inside(
        np.random.default_rng(0).uniform(size=(50, 4)).tolist(), width=SIDE_PX, height=SIDE_PX
    )
    large = boxes_N4[(boxes_N4[:, 2:] - boxes_N4[:, :2] >= 1).all(axis=1)]
    turn = changer(min_visible_fraction=1.0, flip_horizontal=0.5, flip_vertical=0.5)
    for seed in range(20):
        _, boxes_M4, kept_M = turn(noise(SIDE_PX, SIDE_PX), large, seed)
        assert kept_M.tolist() == list(range(len(large)))
        np.testing.assert_allclose(areas(boxes_M4), areas(large))


def test_a_shift_does_not_count_the_grey_around_the_picture_as_the_object() -> None:
    """A box that the crop has cut at the picture's edge is not longer after the shift shows grey there."""
    boxes_14 = np.array([[0.0, 0.0, SIDE_PX, SIDE_PX]])
    picture = np.full((SIDE_PX, SIDE_PX, 3), 255, dtype=np.uint8)
    augment = changer(min_visible_fraction=0.0, policy=MOVING)
    for seed in range(30):
        changed, boxes_M4, _ = augment(picture, boxes_14, seed)
        ys, xs = np.nonzero(changed[:, :, 0] == 255)
        assert boxes_M4.tolist() == [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_and_no_box_at_all(channels: int) -> None:
    params = DetectAugmentationParams(**EVERYTHING, min_visible_fraction=0.3)
    augment = build_box_augmentation(params, side_px=SIDE_PX, channels=channels, fit="letterbox")
    picture, boxes_M4, kept_M = augment(noise(20, 30), np.zeros((0, 4)), 3)
    assert picture.shape == (SIDE_PX, SIDE_PX, channels)
    assert (boxes_M4.shape, kept_M.shape) == ((0, 4), (0,))
    assert boxes_M4.dtype == np.float64
    assert kept_M.dtype == np.int64


@pytest.mark.parametrize("shape", [(20, 33, 3), (17, 15, 1), (1, 1, 3), (1, 40, 1)])
def test_crop_flip_copies_are_those_of_the_policy_with_boxes_inside(shape: tuple[int, int, int]) -> None:
    params = CropFlipParams(crop_scale=0.5, flip_horizontal=0.5, flip_vertical=0.5)
    copy, plain = build_box_crop_flip(params, min_visible_fraction=0.3), build_crop_flip(params)
    picture = noise(*shape)
    height, width = shape[:2]
    boxes_N4 = np.array([[0.0, 0.0, width, height], [0.0, 0.0, width / 2, height]])
    for seed in range(10):
        changed, boxes_M4, kept_M = copy(picture, boxes_N4, seed)
        assert (changed == plain(picture, seed)).all()
        assert (boxes_M4 >= 0).all()
        assert (boxes_M4 <= [width, height, width, height]).all()
        if 0 in kept_M.tolist():  # the whole picture stays the whole picture
            assert boxes_M4[0].tolist() == [0, 0, width, height]


def test_the_boxes_given_are_not_written_to() -> None:
    boxes_N4 = np.array([[1.0, 2.0, 30.0, 40.0]])
    boxes_N4.flags.writeable = False
    for seed in range(10):
        changer(policy=MOVING)(noise(SIDE_PX, SIDE_PX), boxes_N4, seed)
    assert boxes_N4.tolist() == [[1.0, 2.0, 30.0, 40.0]]
