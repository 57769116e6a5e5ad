"""Boxes that nearly coincide: all of them, and none else, as if every pair were compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cnnpipe.datasets.box_pairs import near_boxes
from cnnpipe.geometry.boxes import box_iou, paired_box_iou

Drawn = tuple[int, float, float, float, float]  # picture, left, top, width, height

COORDINATES = st.one_of(st.integers(0, 12).map(float), st.floats(0, 12, width=32))
SIZES = st.one_of(st.integers(1, 10).map(float), st.floats(0.125, 10, width=32))
BOXES = st.tuples(st.integers(0, 2), COORDINATES, COORDINATES, SIZES, SIZES)


def arrays(
    drawn: list[Drawn],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    scene_N = np.array([scene for scene, *_ in drawn], dtype=np.int64)
    corners = [(x, y, x + width, y + height) for _, x, y, width, height in drawn]
    return scene_N, np.array(corners, dtype=np.float64).reshape(-1, 4)


def pairs(
    scene_N: NDArray[np.int64], boxes_N4: NDArray[np.float64], least_iou: float
) -> list[tuple[int, int]]:
    found = near_boxes(scene_N, boxes_N4, least_iou=least_iou)
    return [
        (min(pair), max(pair))
        for one, other in found
        for pair in zip(one.tolist(), other.tolist(), strict=True)
    ]


@given(st.lists(BOXES, max_size=30), st.sampled_from([0.1, 0.5, 0.75, 0.9, 1.0]))
def test_the_pairs_are_those_of_a_comparison_of_all(drawn: list[Drawn], least_iou: float) -> None:
    scene_N, boxes_N4 = arrays(drawn)
    is_near_NN = (box_iou(boxes_N4, boxes_N4) >= least_iou) & (scene_N[:, None] == scene_N[None, :])
    expected = [(i, j) for i, j in np.argwhere(is_near_NN).tolist() if i < j]
    assert sorted(pairs(scene_N, boxes_N4, least_iou)) == expected  # each once


@given(st.lists(BOXES, min_size=1, max_size=8))
def test_overlap_of_pairs_is_that_of_the_table(drawn: list[Drawn]) -> None:
    _, boxes_N4 = arrays(drawn)
    others_N4 = boxes_N4[::-1]
    np.testing.assert_array_equal(
        paired_box_iou(boxes_N4, others_N4), np.diagonal(box_iou(boxes_N4, others_N4))
    )


@pytest.mark.parametrize("number", [2, 1000, 3000])
def test_thousands_on_one_spot_are_all_near_another(number: int) -> None:
    rng = np.random.default_rng(0)
    low = 100 + rng.random((number, 2))
    found = pairs(np.zeros(number, dtype=np.int64), np.hstack([low, low + 50]), 0.5)
    assert {place for pair in found for place in pair} == set(range(number))
    assert len(found) <= 1000 * number


def test_no_box_has_no_pair() -> None:
    assert pairs(*arrays([]), 0.9) == []
