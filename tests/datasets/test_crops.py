import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnpipe.datasets.crops import Window, crop_window, packed_size
from cnnpipe.geometry.boxes import Box, clip_box

WIDTH, HEIGHT = 100, 60
x_values, y_values = st.floats(0, WIDTH), st.floats(0, HEIGHT)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    (x_min, x_max), (y_min, y_max) = (
        sorted(draw(st.tuples(x_values, x_values))),
        sorted(draw(st.tuples(y_values, y_values))),
    )
    assume(x_min < x_max and y_min < y_max)
    return Box(x_min, y_min, x_max, y_max)


@given(boxes(), st.floats(0, 2), st.booleans())
def test_a_window_is_in_the_picture_and_holds_the_object(box: Box, margin: float, square: bool) -> None:
    window = crop_window(box, margin_fraction=margin, square=square, width=WIDTH, height=HEIGHT)
    assert 0 <= window.x_min < window.x_max <= WIDTH
    assert 0 <= window.y_min < window.y_max <= HEIGHT
    # a square of whole pixels around the box's middle may miss it by half a pixel
    slack = 0.5 if square else 0.0
    assert window.x_min <= box.x_min + slack
    assert window.y_min <= box.y_min + slack
    assert window.x_max >= box.x_max - slack
    assert window.y_max >= box.y_max - slack


@given(boxes(), st.floats(0, 2))
def test_a_window_is_square_unless_the_picture_ends(box: Box, margin: float) -> None:
    window = crop_window(box, margin_fraction=margin, square=True, width=WIDTH, height=HEIGHT)
    assert window.is_clipped or window.width == window.height
    side = max(box.width, box.height) * (1 + 2 * margin)
    assert max(window.width, window.height) <= side + 1


@given(boxes(), st.floats(0, 2))
def test_a_window_that_is_not_square_is_the_box_with_its_margin(box: Box, margin: float) -> None:
    window = crop_window(box, margin_fraction=margin, square=False, width=WIDTH, height=HEIGHT)
    added = margin * max(box.width, box.height)
    wanted = Box(box.x_min - added, box.y_min - added, box.x_max + added, box.y_max + added)
    inside = clip_box(wanted, width=WIDTH, height=HEIGHT)
    assert inside is not None
    expected = (
        np.floor(inside.x_min),
        np.floor(inside.y_min),
        np.ceil(inside.x_max),
        np.ceil(inside.y_max),
    )
    assert (window.x_min, window.y_min, window.x_max, window.y_max) == expected


@pytest.mark.parametrize(
    ("box", "margin", "square", "expected", "is_clipped"),
    [
        pytest.param(Box(40, 20, 60, 30), 0.0, False, (40, 20, 60, 30), False, id="the box itself"),
        pytest.param(Box(40, 20, 60, 30), 0.1, False, (38, 18, 62, 32), False, id="a margin"),
        pytest.param(Box(40, 20, 60, 30), 0.0, True, (40, 15, 60, 35), False, id="widened"),
        pytest.param(Box(40, 20, 60, 30), 0.1, True, (38, 13, 62, 37), False, id="widened, margin"),
        pytest.param(Box(0, 0, 20, 10), 0.0, True, (0, 0, 20, 15), True, id="clipped above"),
        pytest.param(Box(90, 50, 100, 60), 0.2, True, (88, 48, 100, 60), True, id="clipped at the corner"),
        pytest.param(Box(0, 0, 100, 60), 0.0, True, (0, 0, 100, 60), True, id="the whole picture"),
    ],
)
def test_windows(box: Box, margin: float, square: bool, expected: tuple[int, ...], is_clipped: bool) -> None:
    window = crop_window(box, margin_fraction=margin, square=square, width=WIDTH, height=HEIGHT)
    assert (window.x_min, window.y_min, window.x_max, window.y_max) == expected
    assert window.is_clipped == is_clipped


def test_a_window_cuts_its_pixels() -> None:
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    cut = Window(x_min=2, y_min=1, x_max=6, y_max=3).cut(picture)
    assert cut.shape == (2, 4, 3)
    assert (cut[0, 0] == picture[1, 2]).all()


@pytest.mark.parametrize(
    ("size", "packed"),
    [
        ((50, 30), (50, 30)),
        ((64, 64), (64, 64)),
        ((128, 96), (64, 48)),
        ((96, 128), (48, 64)),
        ((10_000, 10), (64, 1)),
    ],
)
def test_crops_are_shrunk_in_proportion_and_never_enlarged(
    size: tuple[int, int], packed: tuple[int, int]
) -> None:
    assert packed_size(*size, max_side_px=64) == packed
