"""From an outline to the pixels inside it."""

import numpy as np
from numpy.typing import NDArray

from cnnpipe.geometry.shapes import Shape, shape_to_outline


def shape_to_mask(shape: Shape, *, width: int, height: int) -> NDArray[np.bool_] | None:
    """Return which pixels of a picture are inside a shape, (H, W); None for a point or a bare line.

    A pixel is inside when its centre is; what leaves the picture is cut off. Circles and ellipses are the
    polygon that stands for them.
    """
    outline = shape_to_outline(shape)
    return None if outline is None else fill_outline(outline, width=width, height=height)


def fill_outline(outline_N2: NDArray[np.float64], *, width: int, height: int) -> NDArray[np.bool_]:
    """Return the pixels (H, W) whose centre a closed outline winds around, as a canvas fills it.

    Args:
        outline_N2: its vertices, xy pixels, in order; it may cross itself.
        width: of the picture, pixels.
        height: the same.

    Source: scan conversion by the rule of non-zero winding, J. D. Foley et al., Computer Graphics, 2nd ed.,
    3.6; HTML's `fill()`, with which VIA draws regions, has the same rule.
    """
    row_C, x_C, turn_C = _crossings(outline_N2, height)
    order = np.lexsort((x_C, row_C))
    row_C, x_C, winding_C = row_C[order], x_C[order], np.cumsum(turn_C[order])
    # the winding after the last crossing of a row is 0, so the sum needs no start of its own for each
    inside = np.flatnonzero(winding_C[:-1])
    first = np.ceil(x_C[inside] - 0.5).clip(0, width).astype(np.intp)
    end = np.ceil(x_C[inside + 1] - 0.5).clip(0, width).astype(np.intp)
    steps = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(steps, (row_C[inside], first), 1)
    np.add.at(steps, (row_C[inside], end), -1)
    mask: NDArray[np.bool_] = steps.cumsum(axis=1)[:, :width] > 0
    return mask


def _crossings(
    outline_N2: NDArray[np.float64], height: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.int64]]:
    """Return where edges cross the centre line of a row of pixels: row, x, and 1 downwards or -1 upwards."""
    ends_N2 = np.roll(outline_N2, -1, axis=0)
    is_down_N = ends_N2[:, 1] > outline_N2[:, 1]
    # from its upper end, so that an edge crosses at the same place in whichever order its points stand
    high_N2 = np.where(is_down_N[:, None], outline_N2, ends_N2)
    low_N2 = np.where(is_down_N[:, None], ends_N2, outline_N2)
    # an edge crosses the lines from its upper end to before its lower one, so that a vertex counts once
    first_N = np.ceil(high_N2[:, 1] - 0.5).clip(0, height).astype(np.intp)
    count_N = np.ceil(low_N2[:, 1] - 0.5).clip(0, height).astype(np.intp) - first_N
    edge_C = np.repeat(np.arange(len(outline_N2)), count_N)
    row_C = np.arange(count_N.sum()) - np.repeat(np.cumsum(count_N) - count_N, count_N) + first_N[edge_C]
    (x0_C, y0_C), (x1_C, y1_C) = high_N2[edge_C].T, low_N2[edge_C].T
    x_C = x0_C + (row_C + 0.5 - y0_C) * (x1_C - x0_C) / (y1_C - y0_C)
    return row_C, x_C, np.where(is_down_N[edge_C], 1, -1)
