"""Random changes to a picture, each drawn from a seed alone, by albumentations.

albumentations 2.0.8 is the last under the MIT licence and no longer maintained: this is the one module that
imports it. A transform reads only the two generators of its pipeline, which are set anew for every picture,
so that the result depends neither on the pictures before it nor on the process it is made in.
"""

import random
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import metadata

import albumentations  # type: ignore[import-untyped]  # it carries no types
import cv2
import numpy as np

from cnnpipe.augmentation.preprocess import FILL, Fit, Picture, fit_square, to_channels
from cnnpipe.errors import CnnpipeError
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.experiment import AugmentationParams

Augment = Callable[[Picture, int], Picture]  # picture, seed -> picture


def build_augmentation(params: AugmentationParams, *, side_px: int, channels: int, fit: Fit) -> Augment:
    """Return the function from a picture of any size and a seed to one of (side_px, side_px, channels).

    A crop keeps the picture's proportions. `brightness`, `contrast` and `saturation` are the largest changes
    of a factor around 1; a grey picture has no saturation to change. Equal seeds give equal pictures.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    refuse_albumentationsx()
    pipeline = _compose([*_geometric(params, side_px), *_photometric(params, channels)])
    return partial(_augment, pipeline=pipeline, channels=channels, fit=fit)


def build_crop_flip(params: CropFlipParams) -> Augment:
    """Return the function from a picture and a seed to a crop of it, flipped, in the size it had.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    refuse_albumentationsx()
    return partial(_crop_flip, params=params)


def refuse_albumentationsx() -> None:
    """Check that the package behind the name `albumentations` is the one under the MIT licence.

    Raises:
        CnnpipeError: albumentationsx (AGPL-3.0) is installed, which writes its files over the other's.
    """
    try:
        version = metadata.version("albumentationsx")
    except metadata.PackageNotFoundError:
        return
    raise CnnpipeError(
        "the Python environment",
        f"albumentationsx {version} (AGPL-3.0) is installed under the import name of albumentations (MIT)",
        "pip uninstall albumentationsx albumentations, then pip install albumentations==2.0.8",
    )


def _augment(
    picture: Picture, seed: int, *, pipeline: albumentations.Compose, channels: int, fit: Fit
) -> Picture:
    coloured = to_channels(picture, channels)
    square = fit_square(coloured, side_px=max(coloured.shape[:2]), fit=fit)
    return _run(pipeline, square, seed)


def _crop_flip(picture: Picture, seed: int, *, params: CropFlipParams) -> Picture:
    return _run(_crop_flip_pipeline(params, *picture.shape[:2]), picture, seed)


# most crops of a view are shrunk to one size
@lru_cache(maxsize=128)
def _crop_flip_pipeline(params: CropFlipParams, height: int, width: int) -> albumentations.Compose:
    crop = _crop(params.crop_scale, height=height, width=width)
    return _compose([*crop, *_flips(params.flip_horizontal, params.flip_vertical)])


def _compose(transforms: list[albumentations.BasicTransform]) -> albumentations.Compose:
    pipeline = albumentations.Compose(transforms)
    # one pair of generators for all transforms
    pipeline.set_random_state(np.random.Generator(np.random.PCG64(0)), random.Random(0))  # noqa: S311
    return pipeline


def _run(pipeline: albumentations.Compose, picture: Picture, seed: int) -> Picture:
    # set in place: a new Compose takes milliseconds
    pipeline.py_random.seed(seed)
    pipeline.random_generator.bit_generator.state = np.random.PCG64(seed).state
    return np.asarray(pipeline(image=picture)["image"], dtype=np.uint8)


def _geometric(params: AugmentationParams, side_px: int) -> list[albumentations.BasicTransform]:
    transforms = [
        *_crop(params.crop_scale, height=side_px, width=side_px),
        *_flips(params.flip_horizontal, params.flip_vertical),
    ]
    if params.translate_fraction > 0.0:
        reach = (-params.translate_fraction, params.translate_fraction)
        shift = albumentations.Affine(translate_percent={"x": reach, "y": reach}, fill=FILL, p=1.0)
        transforms.append(shift)
    return transforms


def _crop(crop_scale: float, *, height: int, width: int) -> list[albumentations.BasicTransform]:
    """Return a crop of at least `crop_scale` of the area, resized as `preprocess.resize` does."""
    proportion = width / height
    return [
        albumentations.RandomResizedCrop(
            size=(height, width),
            scale=(crop_scale, 1.0),
            ratio=(proportion, proportion),
            interpolation=cv2.INTER_LINEAR,
            area_for_downscale="image",
        )
    ]


def _flips(horizontal: float, vertical: float) -> list[albumentations.BasicTransform]:
    flips = ((albumentations.HorizontalFlip, horizontal), (albumentations.VerticalFlip, vertical))
    return [flip(p=probability) for flip, probability in flips if probability > 0.0]


def _photometric(params: AugmentationParams, channels: int) -> list[albumentations.BasicTransform]:
    saturation = params.saturation if channels == 3 else 0.0
    reaches = [(1.0 - reach, 1.0 + reach) for reach in (params.brightness, params.contrast, saturation)]
    if all(low == high for low, high in reaches):
        return []
    brightness, contrast, saturation_reach = reaches
    jitter = albumentations.ColorJitter(
        brightness=brightness, contrast=contrast, saturation=saturation_reach, hue=(0.0, 0.0), p=1.0
    )
    return [jitter]
