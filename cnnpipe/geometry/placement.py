"""Where a picture lies on the square that a network sees, and the way of boxes there and back."""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Fit = Literal["letterbox", "stretch"]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of one size laid on a square: its size there, and the margins left and above it."""

    width: int  # of the picture, pixels
    height: int
    placed_width: int  # of what is laid on the square
    placed_height: int
    left: int
    top: int


def place(width: int, height: int, *, side_px: int, fit: Fit) -> Placement:
    """Return how a picture lies on a square: in its proportions and centred (letterbox), or stretched."""
    if fit == "stretch":
        return Placement(
            width=width, height=height, placed_width=side_px, placed_height=side_px, left=0, top=0
        )
    scale = side_px / max(width, height)
    placed_width, placed_height = max(1, round(width * scale)), max(1, round(height * scale))
    return Placement(
        width=width,
        height=height,
        placed_width=placed_width,
        placed_height=placed_height,
        left=(side_px - placed_width) // 2,
        top=(side_px - placed_height) // 2,
    )


def onto_square(boxes_N4: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Return boxes of the picture, xyxy pixels, as boxes of the square."""
    return boxes_N4 * _scales(placement) + _margins(placement)


def off_square(boxes_N4: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Return boxes of the square, xyxy pixels, as boxes of the picture, clipped to it.

    A box that lies wholly in the margin ends without area.
    """
    boxes = (boxes_N4 - _margins(placement)) / _scales(placement)
    size = (placement.width, placement.height)
    return np.asarray(boxes.clip(0.0, np.array(size * 2, dtype=np.float64)))


def _scales(placement: Placement) -> NDArray[np.float64]:
    x, y = placement.placed_width / placement.width, placement.placed_height / placement.height
    return np.array([x, y, x, y])


def _margins(placement: Placement) -> NDArray[np.float64]:
    return np.array([placement.left, placement.top] * 2, dtype=np.float64)
