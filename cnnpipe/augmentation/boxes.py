"""Random changes to a picture and the boxes in it; the pictures are those of `policy` for equal seeds.

Legend: N boxes given, M boxes left.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnnpipe.augmentation.pipelines import (
    ChangedBoxes,
    before_crop,
    change_with_boxes,
    crop_flip_pipeline,
    refuse_albumentationsx,
    square_pipeline,
)
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.geometry.placement import Fit, onto_square, place
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.augmentation import DetectAugmentationParams

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# picture, boxes_N4 xyxy pixels, seed -> picture, boxes_M4 inside it, and which of the N each is
AugmentBoxes = Callable[[Picture, Floats, int], tuple[Picture, Floats, Indices]]

_SMALLEST_SIDE_PX: Final = 1.0  # of a box that is left
_ROUNDING: Final = 1e-9


def build_box_augmentation(
    params: DetectAugmentationParams, *, side_px: int, channels: int, fit: Fit
) -> AugmentBoxes:
    """Return the function from a picture, its boxes and a seed to a square and the boxes left in it.

    The picture changes as by `policy.build_augmentation`. A box is clipped to the square, and lost where
    less than `min_visible_fraction` of its area is left, or less than one pixel of a side.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    pipeline = square_pipeline(params, side_px=side_px)

    def augment(picture: Picture, boxes_N4: Floats, seed: int) -> tuple[Picture, Floats, Indices]:
        if fit == "letterbox":
            height, width = picture.shape[:2]
            placement = place(width, height, side_px=max(width, height), fit=fit)
            boxes_N4 = onto_square(boxes_N4, placement)
        square = before_crop(picture, channels=channels, fit=fit)
        changed, boxes = change_with_boxes(pipeline, square, boxes_N4, seed)
        return changed, *_still_seen(boxes, params.min_visible_fraction)

    return augment


def build_box_crop_flip(params: CropFlipParams, *, min_visible_fraction: float) -> AugmentBoxes:
    """Return the function from a picture with boxes and a seed to a crop of it, flipped, in the size it had.

    The picture changes as by `policy.build_crop_flip`; boxes are lost as in `build_box_augmentation`.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    refuse_albumentationsx()
    return partial(_crop_flip, params=params, min_visible_fraction=min_visible_fraction)


def _crop_flip(
    picture: Picture, boxes_N4: Floats, seed: int, *, params: CropFlipParams, min_visible_fraction: float
) -> tuple[Picture, Floats, Indices]:
    pipeline = crop_flip_pipeline(params, *picture.shape[:2])
    changed, boxes = change_with_boxes(pipeline, picture, boxes_N4, seed)
    return changed, *_still_seen(boxes, min_visible_fraction)


def _still_seen(changed: ChangedBoxes, min_visible_fraction: float) -> tuple[Floats, Indices]:
    """Return the boxes of which enough is left, and which of those given they are."""
    sides_M2 = changed.boxes[:, 2:] - changed.boxes[:, :2]
    is_large = (sides_M2 >= _SMALLEST_SIDE_PX - _ROUNDING).all(axis=1)
    is_seen = is_large & (changed.left >= min_visible_fraction - _ROUNDING)
    return changed.boxes[is_seen], changed.kept[is_seen]
