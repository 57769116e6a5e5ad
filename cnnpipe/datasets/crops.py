"""Which pixels of a picture an object's crop takes, and the size it is packed at."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe.geometry.boxes import Box


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle of whole pixels inside a picture; the maxima are exclusive."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int
    is_clipped: bool = False  # the picture ends where more was wanted

    @property
    def width(self) -> int:
        return self.x_max - self.x_min

    @property
    def height(self) -> int:
        return self.y_max - self.y_min

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the window's pixels (height, width, C) of a picture (H, W, C), not copied."""
        return picture[self.y_min : self.y_max, self.x_min : self.x_max]


def crop_window(box: Box, *, margin_fraction: float, square: bool, width: int, height: int) -> Window:
    """Return the window of an object's crop.

    Args:
        box: of the object, inside the picture, pixels.
        margin_fraction: of the box's longer side, added on each side.
        square: widen the shorter side with the surrounding picture, equally on both sides.
        width: of the picture, pixels; beyond it the window is clipped, and then need not be square.
        height: the same.
    """
    margin = margin_fraction * max(box.width, box.height)
    longer = max(box.width, box.height) + 2.0 * margin
    x_min, x_max = _span(box.x_min - margin, box.x_max + margin, longer if square else None)
    y_min, y_max = _span(box.y_min - margin, box.y_max + margin, longer if square else None)
    return Window(
        x_min=max(x_min, 0),
        y_min=max(y_min, 0),
        x_max=min(x_max, width),
        y_max=min(y_max, height),
        is_clipped=x_min < 0 or y_min < 0 or x_max > width or y_max > height,
    )


def middle_window(box: Box, *, side_px: int, width: int, height: int) -> Window:
    """Return a square window around the middle of a box, moved into the picture where it would leave it.

    All objects of all pictures are then seen at one scale, whatever their size.

    Args:
        box: of the object, inside the picture, pixels.
        side_px: of the window; a smaller picture clips it.
        width: of the picture, pixels.
        height: the same.
    """
    x_min = _moved((box.x_min + box.x_max - side_px) / 2.0, side_px, width)
    y_min = _moved((box.y_min + box.y_max - side_px) / 2.0, side_px, height)
    return Window(
        x_min=x_min,
        y_min=y_min,
        x_max=min(x_min + side_px, width),
        y_max=min(y_min + side_px, height),
        is_clipped=side_px > min(width, height),
    )


def packed_size(width: int, height: int, *, max_side_px: int) -> tuple[int, int]:
    """Return width and height at which a crop is packed: shrunk to `max_side_px`, never enlarged."""
    scale = min(1.0, max_side_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _moved(start: float, length: int, limit: int) -> int:
    """Return the whole pixel at which a span begins that is to lie within 0 and `limit`."""
    return max(0, min(math.floor(start + 0.5), limit - length))


def _span(low: float, high: float, length: float | None) -> tuple[int, int]:
    """Return the whole pixels from `low` to `high`, or as many as `length` takes around their middle."""
    if length is None:
        return math.floor(low), math.ceil(high)
    num_pixels = math.ceil(length)
    start = math.floor((low + high - num_pixels) / 2.0 + 0.5)
    return start, start + num_pixels
