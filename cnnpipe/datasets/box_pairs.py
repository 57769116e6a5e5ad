"""Boxes that nearly coincide, found in all pictures at once without comparing every pair.

N boxes.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnnpipe.geometry.boxes import paired_box_iou

Places = NDArray[np.intp]

# Of a box, to the right: where thousands lie on one spot, the nearest say enough, and the work stays linear.
_MOST_NEIGHBOURS: Final = 1000
_ROUNDING: Final = 1e-9  # of coordinates, in floating point


def near_boxes(
    scene_N: NDArray[np.int64], boxes_N4: NDArray[np.float64], *, least_iou: float
) -> Iterator[tuple[Places, Places]]:
    """Yield pairs of boxes of one picture that overlap by `least_iou` or more, as two arrays of positions.

    Two boxes of widths v and w whose IoU is t share at least t * v and t * w, so the left edge of
    the right one lies within (1 - t) of the left one's width from its left edge; the same is true
    of upper edges. Boxes are sorted by left edges; neighbours are compared first, then those two
    apart, and so on, until no pair is that near.

    Args:
        scene_N: which picture each lies in; any number.
        boxes_N4: xyxy boxes, pixels, positive area.
        least_iou: in (0, 1].
    """
    order = np.lexsort((boxes_N4[:, 1], boxes_N4[:, 0], scene_N))
    scene_N, boxes_N4 = scene_N[order], boxes_N4[order]
    low_N2 = boxes_N4[:, :2]
    reach_N2 = low_N2 + (1 - least_iou) * (boxes_N4[:, 2:] - low_N2) + _ROUNDING * (abs(boxes_N4[:, 2:]) + 1)
    (x_min_N, y_min_N), (x_reach_N, y_reach_N) = low_N2.T.copy(), reach_N2.T.copy()
    left = np.arange(len(order))
    for step in range(1, _MOST_NEIGHBOURS + 1):
        left = left[: np.searchsorted(left, len(order) - step)]
        # left edges only grow to the right: a pair too far apart is the last of its left box
        right = left + step
        left = left[(scene_N[left] == scene_N[right]) & (x_min_N[right] <= x_reach_N[left])]
        if not len(left):
            return
        right = left + step
        is_level = (y_min_N[right] <= y_reach_N[left]) & (y_min_N[left] <= y_reach_N[right])
        one, other = left[is_level], right[is_level]
        is_near = paired_box_iou(boxes_N4[one], boxes_N4[other]) >= least_iou
        yield order[one[is_near]], order[other[is_near]]
