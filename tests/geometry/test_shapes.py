"""The shapes of VIA: outlines and boxes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cnnpipe.geometry.boxes import Box
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
    shape_to_box,
    shape_to_outline,
)

places = st.floats(-500, 500)
sizes = st.floats(0.1, 500)
tenths = st.integers(-5000, 5000).map(lambda n: n / 10)  # three points are not nearly on one line
points = st.lists(st.tuples(places, places), max_size=12)
shapes: st.SearchStrategy[Shape] = st.one_of(
    st.builds(Rect, places, places, sizes, sizes),
    st.builds(Circle, places, places, sizes),
    st.builds(Ellipse, places, places, sizes, sizes, st.floats(-7, 7)),
    points.map(lambda each: Polygon(tuple(x for x, _ in each), tuple(y for _, y in each))),
    points.map(lambda each: Polyline(tuple(x for x, _ in each), tuple(y for _, y in each))),
    st.builds(Point, places, places),
    st.builds(Line, places, places, places, places),
    st.builds(ExtremeRect, *[st.tuples(places, places, places, places)] * 2),
    st.builds(ExtremeCircle, *[st.tuples(tenths, tenths, tenths)] * 2),
)


@given(shapes)
def test_the_box_holds_the_outline_and_touches_it(shape: Shape) -> None:
    box, outline = shape_to_box(shape), shape_to_outline(shape)
    if box is None:
        assert outline is None or np.ptp(outline, axis=0).min() == 0
        return
    assert outline is not None
    (x_min, y_min), (x_max, y_max) = outline.min(axis=0), outline.max(axis=0)
    assert x_min >= box.x_min - 1e-9
    assert y_min >= box.y_min - 1e-9
    assert x_max <= box.x_max + 1e-9
    assert y_max <= box.y_max + 1e-9
    # 72 points come within 1 - cos(2.5 degrees) of the rim of a curve
    slack = 0.001 * max(box.width, box.height) + 1e-6
    assert x_min <= box.x_min + slack
    assert y_max >= box.y_max - slack


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param(Rect(1, 2, 3, 4), Box(1, 2, 4, 6), id="rect"),
        pytest.param(Circle(10, 20, 5), Box(5, 15, 15, 25), id="circle"),
        pytest.param(Ellipse(0, 0, 4, 2), Box(-4, -2, 4, 2), id="ellipse"),
        pytest.param(ExtremeRect((3, 9, 5, 4), (4, 5, 1, 8)), Box(3, 1, 9, 8), id="extreme rectangle"),
        pytest.param(ExtremeCircle((0, 10, 5), (5, 5, 10)), Box(0, 0, 10, 10), id="extreme circle"),
        pytest.param(ExtremeCircle((0, 1, 2), (0, 1, 2)), None, id="extreme circle on a line"),
        pytest.param(Line(0, 0, 5, 5), None, id="line"),
        pytest.param(Ellipse(0, 0, 4, 2, math.pi / 2), Box(-2, -4, 2, 4), id="ellipse, upright"),
        pytest.param(Polygon((0, 4, 2), (1, 1, 5)), Box(0, 1, 4, 5), id="polygon"),
        pytest.param(Polyline((0, 4, 2), (1, 1, 5)), Box(0, 1, 4, 5), id="polyline"),
        pytest.param(Rect(1, 2, 0, 4), None, id="rect of no width"),
        pytest.param(Circle(1, 2, 0), None, id="circle of no radius"),
        pytest.param(Polygon((0, 4), (1, 5)), None, id="two points"),
        pytest.param(Polygon((0, 1, 2), (3, 3, 3)), None, id="points on a line"),
        pytest.param(Polygon((), ()), None, id="no points"),
        pytest.param(Point(1, 2), None, id="point"),
        pytest.param(Circle(1e308, 0, 1e308), None, id="beyond all numbers"),
    ],
)
def test_box_of_a_shape(shape: Shape, expected: Box | None) -> None:
    box = shape_to_box(shape)
    if expected is None:
        assert box is None
    else:
        assert box is not None
        assert (box.x_min, box.y_min, box.x_max, box.y_max) == pytest.approx(
            (expected.x_min, expected.y_min, expected.x_max, expected.y_max)
        )


def test_an_ellipse_turns_clockwise_on_the_screen() -> None:
    # y points down: at theta = 45 degrees, the long axis goes down to the right
    outline = shape_to_outline(Ellipse(100, 100, 80, 5, math.pi / 4))
    assert outline is not None
    far = outline[np.argmax(outline[:, 0])]
    assert far[0] == pytest.approx(100 + 80 / math.sqrt(2), abs=0.5)
    assert far[1] == pytest.approx(100 + 80 / math.sqrt(2), abs=5)


def test_the_outline_of_a_circle_covers_what_pillow_draws() -> None:
    mask, drawn = Image.new("1", (100, 100)), Image.new("1", (100, 100))
    outline = shape_to_outline(Circle(50, 50, 40))
    assert outline is not None
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in outline.tolist()], fill=1)
    ImageDraw.Draw(drawn).ellipse((10, 10, 90, 90), fill=1)
    inside, expected = np.asarray(mask), np.asarray(drawn)
    overlap = (inside & expected).sum() / (inside | expected).sum()
    assert overlap > 0.97
