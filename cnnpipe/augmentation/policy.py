"""Random changes to a picture: what training does with each, and what makes the copies of a view."""

from collections.abc import Callable
from functools import partial

from cnnpipe.augmentation.pipelines import (
    before_crop,
    change,
    crop_flip_pipeline,
    refuse_albumentationsx,
    square_pipeline,
)
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.geometry.placement import Fit
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.augmentation import AugmentationParams

Augment = Callable[[Picture, int], Picture]  # picture, seed -> picture


def build_augmentation(params: AugmentationParams, *, side_px: int, channels: int, fit: Fit) -> Augment:
    """Return the function from a picture of any size and a seed to one of (side_px, side_px, channels).

    In this order: a crop of `crop_scale` to all of the area, in the picture's proportions but for
    `crop_ratio`; flips; a turn about the middle; a crop of `side_px` anywhere in the square of
    `crop_from_px`; a shift; colours; holes. What a turn, a shift or a hole leaves bare is FILL.

    `brightness`, `contrast` and `saturation` are the largest changes of a factor around 1, `hue` is the
    largest turn of the circle of colours; a grey picture has no saturation or hue to change. Equal seeds give
    equal pictures.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    pipeline = square_pipeline(params, side_px=side_px)

    def augment(picture: Picture, seed: int) -> Picture:
        return change(pipeline, before_crop(picture, channels=channels, fit=fit), seed)

    return augment


def build_crop_flip(params: CropFlipParams) -> Augment:
    """Return the function from a picture and a seed to a crop of it, flipped, in the size it had.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    refuse_albumentationsx()
    return partial(_crop_flip, params=params)


def _crop_flip(picture: Picture, seed: int, *, params: CropFlipParams) -> Picture:
    return change(crop_flip_pipeline(params, *picture.shape[:2]), picture, seed)
