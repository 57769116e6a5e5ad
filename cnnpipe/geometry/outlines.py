"""From a mask to the outline around it: traced along the edges of pixels, then thinned."""

import numpy as np
from numpy.typing import NDArray

_Step = tuple[int, int]
_Corner = tuple[int, int]


def trace_outline(mask_HW: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the outer outline (N, 2) of the largest piece of a mask, xy pixels, clockwise on screen.

    A piece is connected over edges, not over corners; its holes are not outlined. The vertices are corners
    of pixels, those inside a straight run left out, so the outline of one pixel is its four corners.

    Args:
        mask_HW: which pixels are inside; at least one.

    Source: crack following, A. Rosenfeld and A. C. Kak, Digital Picture Processing, 2nd ed., 11.2.2.
    """
    steps = _boundary_steps(mask_HW)
    loops = []
    while steps:
        loops.append(_follow(steps, next(iter(steps))))
    return max(loops, key=outline_area)  # the area of a hole is negative


def simplify_outline(outline_N2: NDArray[np.int64], *, tolerance_px: float) -> NDArray[np.int64]:
    """Return the vertices needed to stay within `tolerance_px` of a closed outline; they keep their order.

    Source: D. H. Douglas and T. K. Peucker, Algorithms for the reduction of the number of points required to
    represent a digitized line or its caricature, 1973; the loop is cut at its point farthest from the first.
    """
    distance_N = np.linalg.norm(outline_N2 - outline_N2[0], axis=1)
    far = int(distance_N.argmax())
    closed = np.concatenate([outline_N2, outline_N2[:1]])
    keep = {0, far}
    pending = [(0, far), (far, len(outline_N2))]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        distances = _distance_to_segment(closed[first + 1 : last], closed[first], closed[last])
        if distances.max() > tolerance_px:
            middle = first + 1 + int(distances.argmax())
            keep.add(middle)
            pending += [(first, middle), (middle, last)]
    return outline_N2[sorted(keep)]


def outline_area(outline_N2: NDArray[np.int64]) -> float:
    """Return the area inside a closed outline in square pixels; negative where it runs anticlockwise.

    Source: the shoelace formula; y points down, so clockwise on screen is positive.
    """
    x_N, y_N = outline_N2[:, 0], outline_N2[:, 1]
    return 0.5 * float(np.sum(x_N * np.roll(y_N, -1) - np.roll(x_N, -1) * y_N))


def _boundary_steps(mask_HW: NDArray[np.bool_]) -> dict[_Corner, list[_Step]]:
    """Return the steps along the mask's edge from each corner, with the inside to the right."""
    padded = np.pad(mask_HW, 1)
    inside = padded[1:-1, 1:-1]
    # neighbour outside, corner of the pixel where the step starts, step
    sides: tuple[tuple[NDArray[np.bool_], _Corner, _Step], ...] = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    steps: dict[_Corner, list[_Step]] = {}
    for neighbour, (dx, dy), step in sides:
        rows, columns = np.nonzero(inside & ~neighbour)
        for x, y in zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True):
            steps.setdefault((x, y), []).append(step)
    return steps


def _follow(steps: dict[_Corner, list[_Step]], start: _Corner) -> NDArray[np.int64]:
    """Return the corners where one loop turns, and take its steps out of `steps`.

    An outer loop starts where it turns: its first corner is the top left one of the piece's first pixel. A
    hole's loop may start in mid-run, or take in a piece that touches the hole's edge at that very corner: its
    area stays negative.
    """
    corner, step = start, steps[start][0]
    turns, before = [], (0, 0)
    while True:
        if step != before:
            turns.append(corner)
        _take(steps, corner, step)
        corner, before = (corner[0] + step[0], corner[1] + step[1]), step
        right_turn = (-step[1], step[0])  # stays with the same piece where two touch at a corner
        choices = steps.get(corner)
        if choices is None:
            return np.array(turns, dtype=np.int64)
        step = right_turn if right_turn in choices else choices[0]


def _take(steps: dict[_Corner, list[_Step]], corner: _Corner, step: _Step) -> None:
    steps[corner].remove(step)
    if not steps[corner]:
        del steps[corner]


def _distance_to_segment(
    points_N2: NDArray[np.int64], start_2: NDArray[np.int64], end_2: NDArray[np.int64]
) -> NDArray[np.float64]:
    along = (end_2 - start_2).astype(np.float64)
    position_N = ((points_N2 - start_2) @ along / max(float(along @ along), 1.0)).clip(0.0, 1.0)
    nearest_N2 = start_2 + position_N[:, None] * along
    distance_N: NDArray[np.float64] = np.linalg.norm(points_N2 - nearest_N2, axis=1)
    return distance_N
