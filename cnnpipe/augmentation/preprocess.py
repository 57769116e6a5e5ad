"""The deterministic way of a picture to the network: channels, then a square of the network's side.

Pictures are HWC uint8, RGB or one channel. Training, evaluation and prediction all fit pictures here.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from cnnpipe.geometry.placement import Fit, place

Picture = NDArray[np.uint8]  # (H, W, C)
Preprocess = Callable[[Picture], Picture]

FILL: Final = 128  # grey value around a letterboxed or shifted picture: the middle, near 0 once normalised


def build_preprocess(*, side_px: int, channels: int, fit: Fit) -> Preprocess:
    """Return the function from a picture of any size to one of (side_px, side_px, channels)."""
    return partial(_preprocess, side_px=side_px, channels=channels, fit=fit)


def to_channels(picture: Picture, channels: int) -> Picture:
    """Return the picture with 1 or 3 channels: grey by ITU-R BT.601, RGB by repeating grey."""
    if picture.shape[2] == channels:
        return picture
    code = cv2.COLOR_RGB2GRAY if channels == 1 else cv2.COLOR_GRAY2RGB
    return _with_channels(cv2.cvtColor(picture, code))


def fit_square(picture: Picture, *, side_px: int, fit: Fit) -> Picture:
    """Return the picture as a square: letterboxed on grey, in its proportions, or stretched."""
    placed = place(picture.shape[1], picture.shape[0], side_px=side_px, fit=fit)
    small = resize(picture, width=placed.placed_width, height=placed.placed_height)
    below, right = side_px - small.shape[0], side_px - small.shape[1]
    if not below and not right:
        return small
    margins = (placed.top, below - placed.top, placed.left, right - placed.left)
    border = cv2.BORDER_CONSTANT
    return _with_channels(cv2.copyMakeBorder(small, *margins, border, value=(FILL, FILL, FILL)))


def resize(picture: Picture, *, width: int, height: int) -> Picture:
    """Return the picture in another size: averaged over areas where it shrinks much, else bilinear.

    Down to two thirds, bilinear interpolation hears every pixel, too, and takes a fifth of the time.
    """
    old_height, old_width = picture.shape[:2]
    if (height, width) == (old_height, old_width):
        return picture
    shrinks_much = 3 * height < 2 * old_height or 3 * width < 2 * old_width
    interpolation = cv2.INTER_AREA if shrinks_much else cv2.INTER_LINEAR
    return _with_channels(cv2.resize(picture, (width, height), interpolation=interpolation))


def _preprocess(picture: Picture, *, side_px: int, channels: int, fit: Fit) -> Picture:
    return fit_square(to_channels(picture, channels), side_px=side_px, fit=fit)


def _with_channels(picture: NDArray[np.generic]) -> Picture:
    """Return the picture with its third axis, which OpenCV drops from grey ones."""
    with_axis = picture if picture.ndim == 3 else picture[:, :, None]
    return np.asarray(with_axis, dtype=np.uint8)
