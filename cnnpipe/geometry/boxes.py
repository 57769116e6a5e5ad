"""Axis-aligned boxes in pixels: made, clipped, compared."""

import math
from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray


class Box(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Axis-aligned box with positive area, in pixels; written to JSON as [x0, y0, x1, y1].

    Raises:
        ValueError: the box has no area, or a coordinate is not finite.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def __post_init__(self) -> None:
        corners = (self.x_min, self.y_min, self.x_max, self.y_max)
        if not (all(map(math.isfinite, corners)) and self.x_min < self.x_max and self.y_min < self.y_max):
            raise ValueError(f"box {corners} has no area")

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min

    @property
    def area(self) -> float:
        return self.width * self.height

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float]) -> Self:
        """Return the tight box around points, given as their x and their y.

        Raises:
            ValueError: there are no points, or they lie on one horizontal or vertical line.
        """
        return cls(min(xs), min(ys), max(xs), max(ys))


def clip_box(box: Box, *, width: int, height: int) -> Box | None:
    """Return the part of `box` inside a picture of that size, or None where nothing is left."""
    x_min, y_min = max(box.x_min, 0.0), max(box.y_min, 0.0)
    x_max, y_max = min(box.x_max, float(width)), min(box.y_max, float(height))
    return Box(x_min, y_min, x_max, y_max) if x_min < x_max and y_min < y_max else None


def box_iou(boxes_N4: NDArray[np.float64], others_M4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of every pair of boxes, (N, M) in [0, 1].

    Args:
        boxes_N4: xyxy boxes, pixels, positive area.
        others_M4: the same.
    """
    low_NM2 = np.maximum(boxes_N4[:, None, :2], others_M4[None, :, :2])
    high_NM2 = np.minimum(boxes_N4[:, None, 2:], others_M4[None, :, 2:])
    overlap_NM = (high_NM2 - low_NM2).clip(min=0).prod(axis=2)
    areas_N1 = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1)[:, None]
    areas_1M = (others_M4[:, 2:] - others_M4[:, :2]).prod(axis=1)[None, :]
    union_NM: NDArray[np.float64] = areas_N1 + areas_1M - overlap_NM
    iou_NM: NDArray[np.float64] = overlap_NM / union_NM
    return iou_NM


def paired_box_iou(boxes_N4: NDArray[np.float64], others_N4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of each box and the other in its place, (N,) in [0, 1].

    Args:
        boxes_N4: xyxy boxes, pixels, positive area.
        others_N4: the same.
    """
    low_N2 = np.maximum(boxes_N4[:, :2], others_N4[:, :2])
    high_N2 = np.minimum(boxes_N4[:, 2:], others_N4[:, 2:])
    overlap_N = (high_N2 - low_N2).clip(min=0).prod(axis=1)
    areas_N = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1)
    others_areas_N = (others_N4[:, 2:] - others_N4[:, :2]).prod(axis=1)
    iou_N: NDArray[np.float64] = overlap_N / (areas_N + others_areas_N - overlap_N)
    return iou_N
