import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cnnpipe.augmentation.preprocess import FILL, fit_square
from cnnpipe.geometry.placement import Fit, off_square, onto_square, place

FITS: tuple[Fit, ...] = ("letterbox", "stretch")
sides = st.integers(1, 9000)
squares = st.integers(8, 1024)
shares = st.lists(st.tuples(*[st.floats(0.0, 1.0)] * 4), max_size=5)


def boxes_inside(shares_N4: list[tuple[float, ...]], *, width: int, height: int) -> NDArray[np.float64]:
    """Return boxes of a picture from shares of its sides."""
    corners = np.array(shares_N4, dtype=np.float64).reshape(-1, 2, 2)
    return np.sort(corners, axis=1).reshape(-1, 4) * [width, height, width, height]


@given(sides, sides, squares, st.sampled_from(FITS), shares)
def test_there_and_back_is_where_a_box_was(
    width: int, height: int, side_px: int, fit: Fit, drawn: list[tuple[float, ...]]
) -> None:
    boxes_N4 = boxes_inside(drawn, width=width, height=height)
    placement = place(width, height, side_px=side_px, fit=fit)
    np.testing.assert_allclose(off_square(onto_square(boxes_N4, placement), placement), boxes_N4, atol=1e-8)


@given(sides, sides, squares, st.sampled_from(FITS), shares)
def test_a_box_lies_on_the_picture_and_that_on_the_square(
    width: int, height: int, side_px: int, fit: Fit, drawn: list[tuple[float, ...]]
) -> None:
    placed = place(width, height, side_px=side_px, fit=fit)
    assert 1 <= placed.placed_width <= side_px
    assert 1 <= placed.placed_height <= side_px
    assert side_px in (placed.placed_width, placed.placed_height)
    margins = (side_px - placed.placed_width, side_px - placed.placed_height)
    assert (placed.left, placed.top) == (margins[0] // 2, margins[1] // 2)
    low = np.array([placed.left, placed.top])
    high = low + np.array([placed.placed_width, placed.placed_height])
    boxes_N4 = onto_square(boxes_inside(drawn, width=width, height=height), placed)
    assert (boxes_N4[:, :2] >= low).all()
    assert (boxes_N4[:, 2:] <= high + 1e-9).all()


@given(sides, sides, squares, st.sampled_from(FITS), shares)
def test_what_comes_off_the_square_is_inside_the_picture(
    width: int, height: int, side_px: int, fit: Fit, drawn: list[tuple[float, ...]]
) -> None:
    anywhere_N4 = boxes_inside(drawn, width=side_px, height=side_px)
    boxes_N4 = off_square(anywhere_N4, place(width, height, side_px=side_px, fit=fit))
    assert (boxes_N4 >= 0).all()
    assert (boxes_N4 <= [width, height, width, height]).all()
    assert (boxes_N4[:, :2] <= boxes_N4[:, 2:]).all()


def test_a_box_in_the_margin_ends_without_area() -> None:
    placement = place(100, 50, side_px=100, fit="letterbox")
    assert off_square(np.array([[10.0, 0.0, 20.0, 25.0]]), placement).tolist() == [[10.0, 0.0, 20.0, 0.0]]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(8, 80), st.sampled_from(FITS))
def test_the_placed_picture_is_where_fit_square_lays_it(
    width: int, height: int, side_px: int, fit: Fit
) -> None:
    square = fit_square(np.full((height, width, 3), 255, dtype=np.uint8), side_px=side_px, fit=fit)
    placed = place(width, height, side_px=side_px, fit=fit)
    expected = np.full((side_px, side_px), FILL)
    expected[
        placed.top : placed.top + placed.placed_height, placed.left : placed.left + placed.placed_width
    ] = 255
    assert (square[:, :, 0] == expected).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("width", "height"), [(120, 80), (90, 130), (64, 64)])
def test_a_box_on_the_square_holds_the_pixels_it_held_in_the_picture(
    width: int, height: int, fit: Fit
) -> None:
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[20:60, 10:50] = 255
    square = fit_square(picture, side_px=96, fit=fit)
    placement = place(width, height, side_px=96, fit=fit)
    ((x_min, y_min, x_max, y_max),) = onto_square(np.array([[10.0, 20.0, 50.0, 60.0]]), placement)
    ys, xs = np.nonzero(square[:, :, 0] > 200)
    assert abs(xs.min() - x_min) <= 1
    assert abs(xs.max() + 1 - x_max) <= 1
    assert abs(ys.min() - y_min) <= 1
    assert abs(ys.max() + 1 - y_max) <= 1
