"""What was found is drawn where it is, legible whatever the size of the picture."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cnnpipe.geometry.boxes import Box
from cnnpipe.reports.drawn_pictures import Mark, draw_marks
from cnnpipe.reports.lettering import drawable, font_of, shortened

BLUE = np.array([0, 114, 178])  # of the first class


def plain(width: int, height: int, *, channels: int = 3) -> NDArray[np.uint8]:
    return np.full((height, width, channels), 240, dtype=np.uint8)


def drawn(picture: NDArray[np.uint8], *marks: Mark) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(draw_marks(picture, marks)))).astype(np.int64)


def is_blue(picture: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((np.abs(picture - BLUE) < 60).all(axis=2))


def mark(x_min: float, y_min: float, x_max: float, y_max: float, text: str = "ant 0.93") -> Mark:
    return Mark(text=text, colour=0, box=Box(x_min, y_min, x_max, y_max))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_is_drawn_where_it_is(channels: int) -> None:
    seen = is_blue(drawn(plain(640, 480, channels=channels), mark(100, 200, 300, 400)))
    rows, columns = np.flatnonzero(seen[201:].sum(axis=1) > 100) + 201, np.flatnonzero(seen.sum(axis=0) > 100)
    assert (columns.min(), columns.max()) == (pytest.approx(100, abs=2), pytest.approx(299, abs=2))
    assert rows.max() == pytest.approx(399, abs=2)
    assert not seen[210:390, 110:290].any(), "the box is filled"


def test_a_small_picture_is_enlarged_with_its_boxes() -> None:
    picture = drawn(plain(100, 50), mark(50, 25, 100, 50))
    assert picture.shape == (240, 480, 3)
    seen = is_blue(picture)
    assert np.flatnonzero(seen.sum(axis=0) > 50).min() == pytest.approx(240, abs=3)


@pytest.mark.parametrize(
    ("width", "height"),
    [
        pytest.param(1, 1, id="one pixel"),
        pytest.param(100, 75, id="small"),
        pytest.param(3000, 20, id="low"),
        pytest.param(20, 3000, id="narrow"),
        pytest.param(2400, 1800, id="large"),
        pytest.param(70_000, 2, id="longer than a JPEG can be"),
    ],
)
def test_the_text_has_its_share_of_any_picture(width: int, height: int) -> None:
    picture = drawn(plain(width, height), Mark(text="ant 0.93", colour=0))
    rows, columns = (np.flatnonzero(is_blue(picture).any(axis=axis)) for axis in (1, 0))
    longer = max(picture.shape)
    assert len(rows) >= max(13, longer / 80), "the letters are too low to be read"
    assert len(columns) >= max(40, 3 * longer / 70), "the text is cut off"
    assert max(picture.shape) <= 20_000


@given(
    st.tuples(st.floats(0, 99), st.floats(0, 59), st.floats(0.01, 100), st.floats(0.01, 60)),
    st.text(max_size=60),
)
def test_any_box_and_any_text_can_be_drawn(box: tuple[float, float, float, float], text: str) -> None:
    x, y, width, height = box
    marks = [mark(x, y, min(x + width, 100.0), min(y + height, 60.0), text)]
    assert draw_marks(plain(100, 60), marks) == draw_marks(plain(100, 60), marks)


def test_the_best_lies_on_top() -> None:
    best, worst = mark(100, 100, 300, 300), Mark(text="ant 0.10", colour=1, box=Box(100, 100, 300, 300))
    assert is_blue(drawn(plain(640, 480), best, worst))[299, 150:250].all()
    assert not is_blue(drawn(plain(640, 480), worst, best))[299, 150:250].any()


def test_letters_that_the_font_lacks_stand_as_their_code_points() -> None:
    assert drawable("c++ é λ") == "c++ é λ"
    assert drawable("靴") == "\\u9774"
    assert drawable("a\nb\tc") == "a b c"


def test_text_is_shortened_to_its_room() -> None:
    font = font_of(13)
    short = shortened("a very long name of a class", font, width=80)
    assert short.endswith("…")
    assert font.getlength(short) <= 80
    assert shortened("ant", font, width=80) == "ant"
    assert shortened("ant", font, width=0) == "…"
