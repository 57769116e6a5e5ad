import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]  # it carries no types

from cnnpipe.geometry.outlines import outline_area, simplify_outline, trace_outline

Mask = NDArray[np.bool_]
masks = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans())


def filled_pieces(mask: Mask) -> list[Mask]:
    """Return every piece of the mask without its holes, by scipy."""
    labels, count = ndimage.label(mask)
    corners = np.ones((3, 3))  # the outside leaks through corners
    return [
        ndimage.binary_fill_holes(np.pad(labels == k, 1), corners)[1:-1, 1:-1] for k in range(1, count + 1)
    ]


def pixels_inside(outline: NDArray[np.int64], shape: tuple[int, ...]) -> Mask:
    """Return the pixels whose centre is inside the outline, by the even-odd rule."""
    centre_x, centre_y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    inside = np.zeros(shape, dtype=bool)
    for (x, low), (_, high) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        inside ^= (x < centre_x) & (min(low, high) < centre_y) & (centre_y < max(low, high))
    return inside


@given(masks)
def test_the_outline_encloses_the_largest_piece(mask: Mask) -> None:
    assume(mask.any())
    outline = trace_outline(mask)
    inside = pixels_inside(outline, mask.shape)
    pieces = filled_pieces(mask)
    assert any((inside == piece).all() for piece in pieces)
    assert outline_area(outline) == inside.sum() == max(piece.sum() for piece in pieces)


@pytest.mark.parametrize(
    ("rows", "outline"),
    [
        pytest.param(["#"], [(0, 0), (1, 0), (1, 1), (0, 1)], id="one pixel"),
        pytest.param(["...", ".##", ".##"], [(1, 1), (3, 1), (3, 3), (1, 3)], id="a square at the border"),
        pytest.param(["##.", "##.", "..#"], [(0, 0), (2, 0), (2, 2), (0, 2)], id="a corner does not connect"),
        # the hole's outline and the inner piece's start at the same corner
        pytest.param(
            ["#####", "#...#", "#.#.#", "##..#", "#####"], [(0, 0), (5, 0), (5, 5), (0, 5)], id="a hole"
        ),
        pytest.param(
            ["###", "#..", "###"],
            [(0, 0), (3, 0), (3, 1), (1, 1), (1, 2), (3, 2), (3, 3), (0, 3)],
            id="a bay",
        ),
    ],
)
def test_outlines_run_clockwise_along_corners(rows: list[str], outline: list[tuple[int, int]]) -> None:
    mask = np.array([[letter == "#" for letter in row] for row in rows])
    assert [tuple(point) for point in trace_outline(mask).tolist()] == outline


def test_area_is_negative_anticlockwise() -> None:
    outline = np.array([(0, 0), (4, 0), (4, 3), (0, 3)])
    assert outline_area(outline) == 12
    assert outline_area(outline[::-1]) == -12


@given(masks, st.floats(0.0, 3.0))
def test_a_simplified_outline_is_near_every_vertex_it_left_out(mask: Mask, tolerance_px: float) -> None:
    assume(mask.any())
    outline = trace_outline(mask)
    simple = simplify_outline(outline, tolerance_px=tolerance_px)
    kept = [tuple(point) for point in simple.tolist()]
    rest = iter([tuple(point) for point in outline.tolist()])
    assert all(point in rest for point in kept)  # a subsequence
    starts, ends = simple, np.roll(simple, -1, axis=0)
    for point in outline:
        along = ends - starts
        position = ((point - starts) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1)
        nearest = starts + position.clip(0, 1)[:, None] * along
        assert np.linalg.norm(point - nearest, axis=1).min() <= tolerance_px + 1e-9


def test_simplifying_flattens_a_staircase() -> None:
    stairs = np.tri(20, dtype=bool)
    outline = trace_outline(stairs)
    assert len(outline) == 42
    assert len(simplify_outline(outline, tolerance_px=1.0)) <= 5
