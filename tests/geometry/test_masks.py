"""Pixels inside an outline, against a test of each single pixel."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from cnnpipe.geometry.masks import fill_outline, shape_to_mask
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    ExtremeRect,
    Line,
    Point,
    Polygon,
    Polyline,
    Rect,
    Shape,
)

WIDTH, HEIGHT = 12, 9
# quarters and thirds: some fall on the centres of pixels, where the rule for edges counts
places = st.one_of(st.integers(-16, 64).map(lambda n: n / 4), st.integers(-12, 48).map(lambda n: n / 3))
outlines = st.lists(st.tuples(places, places), min_size=3, max_size=9)


def winding(outline: list[tuple[float, float]], x: float, y: float) -> int:
    """Return how often an outline winds around a point, an edge to the left of it counting."""
    turns = 0
    for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1], strict=True):
        (xa, ya), (xb, yb) = sorted([(x0, y0), (x1, y1)], key=lambda point: point[1])
        if ya <= y < yb and xa + (y - ya) * (xb - xa) / (yb - ya) <= x:
            turns += 1 if y1 > y0 else -1
    return turns


@given(outlines)
def test_a_pixel_is_inside_when_the_outline_winds_around_its_centre(
    outline: list[tuple[float, float]],
) -> None:
    mask = fill_outline(np.array(outline), width=WIDTH, height=HEIGHT)
    expected = [
        [winding(outline, column + 0.5, row + 0.5) != 0 for column in range(WIDTH)] for row in range(HEIGHT)
    ]
    assert mask.tolist() == expected


@given(outlines, st.integers(-3, 3), st.integers(-3, 3))
def test_a_shifted_outline_has_the_shifted_mask(outline: list[tuple[float, float]], dx: int, dy: int) -> None:
    wide = fill_outline(np.array(outline) + 8, width=40, height=40)
    shifted = fill_outline(np.array(outline) + np.array([8 + dx, 8 + dy]), width=40, height=40)
    assert np.array_equal(np.roll(wide, (dy, dx), axis=(0, 1)), shifted)


@given(outlines)
def test_the_order_of_the_points_does_not_matter(outline: list[tuple[float, float]]) -> None:
    points = np.array(outline)
    assert np.array_equal(
        fill_outline(points, width=WIDTH, height=HEIGHT),
        fill_outline(points[::-1], width=WIDTH, height=HEIGHT),
    )


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        pytest.param(Rect(2, 1, 5, 3), 15, id="rect"),
        pytest.param(Rect(-3, -2, 5, 3), 2, id="rect cut off"),
        pytest.param(Circle(50, 50, 30), math.pi * 900, id="circle"),
        pytest.param(Ellipse(50, 50, 40, 20, 0.7), math.pi * 800, id="turned ellipse"),
        pytest.param(Polygon((0, 10, 0), (0, 0, 10)), 50, id="triangle"),
        pytest.param(Polyline((0, 10, 10, 0), (0, 0, 10, 10)), 100, id="polyline as outline"),
        pytest.param(ExtremeRect((0, 10, 5, 5), (5, 5, 0, 8)), 80, id="extreme rectangle"),
        pytest.param(ExtremeCircle((20, 80, 50), (50, 50, 20)), math.pi * 900, id="extreme circle"),
    ],
)
def test_the_area_is_that_of_the_shape(shape: Shape, area: float) -> None:
    mask = shape_to_mask(shape, width=100, height=100)
    assert mask is not None
    assert int(mask.sum()) == pytest.approx(area, rel=0.02, abs=6)


def test_it_agrees_with_pycocotools_but_for_pixels_on_the_edge() -> None:
    outline = np.array([(10.2, 5.7), (80.1, 20.3), (60.6, 70.9), (15.4, 60.2)])
    mask = fill_outline(outline, width=100, height=80)
    [encoded] = coco_mask.frPyObjects([outline.ravel().tolist()], 80, 100)
    ours = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert coco_mask.iou([ours], [encoded], [0])[0, 0] > 0.97


@pytest.mark.parametrize(
    "shape",
    [Point(1, 2), Line(0, 0, 5, 5), Polyline((1, 2), (3, 4)), ExtremeCircle((0, 1, 2), (0, 1, 2))],
    ids=lambda shape: type(shape).__name__,
)
def test_without_an_outline_there_is_no_mask(shape: Shape) -> None:
    assert shape_to_mask(shape, width=9, height=9) is None
