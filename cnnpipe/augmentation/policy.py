"""Random changes to a picture, each drawn from a seed alone, by albumentations.

albumentations 2.0.8 is the last under the MIT licence and no longer maintained: this is the one module that
imports it. A transform reads only the two generators of its pipeline, which are set anew for every picture,
so that the result depends neither on the pictures before it nor on the process it is made in.
"""

import math
import random
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import metadata
from typing import Any

import albumentations  # type: ignore[import-untyped]  # it carries no types
import numpy as np

from cnnpipe.augmentation.preprocess import FILL, Fit, Picture, fit_square, resize, to_channels
from cnnpipe.errors import CnnpipeError
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.experiment import AugmentationParams

Augment = Callable[[Picture, int], Picture]  # picture, seed -> picture


class _CropOfSameProportions(albumentations.RandomResizedCrop):  # type: ignore[misc]  # it carries no types
    """A crop with the proportions of the picture, whatever they are, resized as everywhere in cnnpipe."""

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw a crop's share of the area, then its place; return its corners, xyxy pixels."""
        del data
        height, width = params["shape"][:2]
        share = math.sqrt(self.py_random.uniform(*self.scale))
        crop_height, crop_width = max(1, round(height * share)), max(1, round(width * share))
        x = self.py_random.randint(0, width - crop_width)
        y = self.py_random.randint(0, height - crop_height)
        return {"crop_coords": (x, y, x + crop_width, y + crop_height)}

    def apply(self, img: Picture, crop_coords: tuple[int, int, int, int], **params: Any) -> Picture:
        """Return the crop in the wanted size."""
        del params
        x_min, y_min, x_max, y_max = crop_coords
        height, width = self.size
        return resize(img[y_min:y_max, x_min:x_max], width=width, height=height)


def build_augmentation(params: AugmentationParams, *, side_px: int, channels: int, fit: Fit) -> Augment:
    """Return the function from a picture of any size and a seed to one of (side_px, side_px, channels).

    A crop keeps the picture's proportions. `brightness`, `contrast` and `saturation` are the largest changes
    of a factor around 1; a grey picture has no saturation to change. Equal seeds give equal pictures.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    refuse_albumentationsx()
    pipeline = _compose([*_geometric(params, side_px), *_photometric(params)])
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
    if fit == "letterbox":
        coloured = fit_square(coloured, side_px=max(coloured.shape[:2]), fit=fit)
    return _run(pipeline, coloured, seed)


def _crop_flip(picture: Picture, seed: int, *, params: CropFlipParams) -> Picture:
    return _run(_crop_flip_pipeline(params, *picture.shape[:2]), picture, seed)


# most crops of a view are shrunk to one size
@lru_cache(maxsize=128)
def _crop_flip_pipeline(params: CropFlipParams, height: int, width: int) -> albumentations.Compose:
    crop = _CropOfSameProportions((height, width), scale=(params.crop_scale, 1.0))
    return _compose([crop, *_flips(params.flip_horizontal, params.flip_vertical)])


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
        _CropOfSameProportions((side_px, side_px), scale=(params.crop_scale, 1.0)),
        *_flips(params.flip_horizontal, params.flip_vertical),
    ]
    reach_px = round(params.translate_fraction * side_px)
    if reach_px > 0:
        # a shift by whole pixels; albumentations' Affine, which interpolates, takes eight times as long
        pad = albumentations.Pad(padding=reach_px, fill=FILL, p=1.0)
        transforms += [pad, albumentations.RandomCrop(height=side_px, width=side_px, p=1.0)]
    return transforms


def _flips(horizontal: float, vertical: float) -> list[albumentations.BasicTransform]:
    flips = ((albumentations.HorizontalFlip, horizontal), (albumentations.VerticalFlip, vertical))
    return [flip(p=probability) for flip, probability in flips if probability > 0.0]


def _photometric(params: AugmentationParams) -> list[albumentations.BasicTransform]:
    reaches = (params.brightness, params.contrast, params.saturation)
    if not any(reaches):
        return []
    brightness, contrast, saturation = ((1.0 - reach, 1.0 + reach) for reach in reaches)
    jitter = albumentations.ColorJitter(
        brightness=brightness, contrast=contrast, saturation=saturation, hue=(0.0, 0.0), p=1.0
    )
    return [jitter]
