"""Boxes: valid by construction, clipped, compared."""

import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou as box_iou_of_torchvision  # type: ignore[import-untyped]

from cnnpipe.geometry.boxes import Box, box_iou, clip_box

numbers = st.floats(-300, 300, allow_nan=False).map(lambda number: round(number, 3))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    sides = st.floats(0.01, 300)
    x, y = draw(numbers), draw(numbers)
    return Box(x, y, x + draw(sides), y + draw(sides))


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param((0, 0, 0, 1), id="no width"),
        pytest.param((0, 2, 1, 1), id="upside down"),
        pytest.param((0, 0, math.nan, 1), id="nan"),
        pytest.param((-math.inf, 0, 1, 1), id="infinite"),
    ],
)
def test_a_box_without_area_cannot_be_made(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="no area"):
        Box(*corners)


def test_a_box_is_written_as_its_four_corners() -> None:
    assert msgspec.json.encode(Box(1.0, 2.0, 3.5, 4.0)) == b"[1.0,2.0,3.5,4.0]"
    with pytest.raises(msgspec.ValidationError, match="no area"):
        msgspec.json.decode(b"[1,2,1,4]", type=Box)


@given(boxes())
def test_a_clipped_box_is_in_the_picture_and_in_the_box(box: Box) -> None:
    clipped = clip_box(box, width=100, height=60)
    if clipped is None:
        assert box.x_max <= 0 or box.y_max <= 0 or box.x_min >= 100 or box.y_min >= 60
    else:
        assert max(box.x_min, 0) == clipped.x_min < clipped.x_max == min(box.x_max, 100)
        assert max(box.y_min, 0) == clipped.y_min < clipped.y_max == min(box.y_max, 60)
        assert clip_box(clipped, width=100, height=60) == clipped


@given(st.lists(boxes(), min_size=1, max_size=5), st.lists(boxes(), min_size=1, max_size=5))
def test_iou_is_that_of_torchvision(some: list[Box], others: list[Box]) -> None:
    some_N4 = np.array([msgspec.structs.astuple(box) for box in some])
    others_M4 = np.array([msgspec.structs.astuple(box) for box in others])
    iou_NM = box_iou(some_N4, others_M4)
    expected = box_iou_of_torchvision(torch.from_numpy(some_N4), torch.from_numpy(others_M4)).numpy()
    np.testing.assert_allclose(iou_NM, expected, atol=1e-9)
    np.testing.assert_allclose(iou_NM, box_iou(others_M4, some_N4).T, atol=1e-12)
    assert ((iou_NM >= 0) & (iou_NM <= 1 + 1e-9)).all()
    np.testing.assert_allclose(np.diag(box_iou(some_N4, some_N4)), 1.0)


def test_iou_of_known_boxes() -> None:
    boxes_N4 = np.array([[0.0, 0.0, 2.0, 2.0]])
    others_M4 = np.array([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 4.0, 2.0], [0.0, 0.0, 2.0, 1.0]])
    np.testing.assert_allclose(box_iou(boxes_N4, others_M4), [[1 / 7, 0.0, 0.5]])
