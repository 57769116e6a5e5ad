"""Random changes to a picture and the boxes in it, each drawn from a seed alone, by albumentations.

albumentations 2.0.8 is the last under the MIT licence and no longer maintained: this is the one module that
imports it. A transform reads only the two generators of its pipeline, which are set anew for every picture,
so that the result depends neither on the pictures before it nor on the process it is made in; nor does it
depend on whether boxes go along.

albumentations' own way with boxes rounds them to float32, and judges how much of a box is left by one
transform after the other. Here a box carries the share of its area that all crops so far have left.
"""

import math
import random
from functools import lru_cache
from importlib import metadata
from typing import Any, Final, NamedTuple

import albumentations  # type: ignore[import-untyped]  # it carries no types
import numpy as np
from numpy.typing import NDArray

from cnnpipe.augmentation.preprocess import FILL, Picture, fit_square, resize, to_channels
from cnnpipe.errors import CnnpipeError
from cnnpipe.geometry.placement import Fit
from cnnpipe.params.augment import CropFlipParams
from cnnpipe.params.augmentation import AugmentationParams, PictureAugmentationParams

_INDEX: Final = 4  # columns of a box in a pipeline, after its corners
_LEFT: Final = 5
_COLUMNS: Final = 6


class ChangedBoxes(NamedTuple):
    """What became of boxes: those of which something is left, M of the N given."""

    boxes: NDArray[np.float64]  # (M, 4) xyxy pixels of the changed picture, inside it
    kept: NDArray[np.int64]  # (M,) which of those given
    left: NDArray[np.float64]  # (M,) share of each one's area that was not cut off, in (0, 1]


class _CropsBoxes:
    """How the crops below take boxes along: clipped, and with the share of the area that is left."""

    def apply_to_bboxes(
        self, bboxes: NDArray[np.float64], crop_coords: tuple[int, int, int, int], **params: Any
    ) -> NDArray[np.float64]:
        """Return the boxes in shares of the crop's sides.

        Args:
            bboxes: (N, 6) in shares of the picture's sides.
            crop_coords: of the crop, xyxy pixels.
            params: albumentations' own; `shape` is the picture's.
        """
        height, width = params["shape"][:2]
        x_min, y_min, x_max, y_max = crop_coords
        wanted = bboxes.copy()
        wanted[:, :4] = bboxes[:, :4] * [width, height, width, height] - [x_min, y_min, x_min, y_min]
        wanted[:, :4] /= [x_max - x_min, y_max - y_min] * 2
        cut = wanted.copy()
        cut[:, :4] = wanted[:, :4].clip(0.0, 1.0)
        cut[:, _LEFT] *= _areas(cut) / _areas(wanted).clip(min=1e-300)
        return cut


class _CropOfSameProportions(_CropsBoxes, albumentations.RandomResizedCrop):  # type: ignore[misc]  # as above
    """A crop with the proportions of the picture, whatever they are, resized as everywhere in cnnpipe."""

    max_change = 1.0  # of the proportions: width over height is multiplied by at most this, or divided

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw a crop's share of the area, its proportions, its place; return its corners, xyxy pixels."""
        del data
        height, width = params["shape"][:2]
        share = math.sqrt(self.py_random.uniform(*self.scale))
        stretch = self._draw_stretch(share)
        crop_height, crop_width = (
            max(1, round(height * share / stretch)),
            max(1, round(width * share * stretch)),
        )
        x = self.py_random.randint(0, width - crop_width)
        y = self.py_random.randint(0, height - crop_height)
        return {"crop_coords": (x, y, x + crop_width, y + crop_height)}

    def _draw_stretch(self, share: float) -> float:
        """Return the square root of the change of proportions, as large a one as the picture has room for."""
        reach = min(math.log(self.max_change) / 2.0, -math.log(share))
        # nothing is drawn where nothing can change, so that the draws that follow are those without it
        return math.exp(self.py_random.uniform(-reach, reach)) if self.max_change > 1.0 else 1.0

    def apply(self, img: Picture, crop_coords: tuple[int, int, int, int], **params: Any) -> Picture:
        """Return the crop in the wanted size."""
        del params
        x_min, y_min, x_max, y_max = crop_coords
        height, width = self.size
        return resize(img[y_min:y_max, x_min:x_max], width=width, height=height)


class _CropOfSize(_CropsBoxes, albumentations.RandomCrop):  # type: ignore[misc]  # as above
    """A crop of a fixed size, anywhere."""


def square_pipeline(params: AugmentationParams, *, side_px: int) -> albumentations.Compose:
    """Return the pipeline of training, from pictures of any size to squares.

    Raises:
        CnnpipeError: albumentationsx is installed.
    """
    refuse_albumentationsx()
    return _compose([*_geometric(params, side_px), *_photometric(params), *_cutout(params, side_px)])


# most crops of a view are shrunk to one size
@lru_cache(maxsize=128)
def crop_flip_pipeline(params: CropFlipParams, height: int, width: int) -> albumentations.Compose:
    """Return the pipeline of a view's copies, for pictures of one size, which they keep."""
    crop = _CropOfSameProportions((height, width), scale=(params.crop_scale, 1.0))
    return _compose([crop, *_flips(params.flip_horizontal, params.flip_vertical)])


def before_crop(picture: Picture, *, channels: int, fit: Fit) -> Picture:
    """Return the picture as `square_pipeline` takes it: letterboxed, where its crops are to be square."""
    coloured = to_channels(picture, channels)
    if fit == "letterbox":
        return fit_square(coloured, side_px=max(coloured.shape[:2]), fit=fit)
    return coloured


def change(pipeline: albumentations.Compose, picture: Picture, seed: int) -> Picture:
    """Return what the pipeline makes of a picture, the draws being those of `seed`."""
    _set_seed(pipeline, seed)
    return np.asarray(pipeline(image=picture)["image"], dtype=np.uint8)


def change_with_boxes(
    pipeline: albumentations.Compose, picture: Picture, boxes_N4: NDArray[np.float64], seed: int
) -> tuple[Picture, ChangedBoxes]:
    """Return what the pipeline makes of a picture, just as `change`, and of boxes in it, xyxy pixels."""
    height, width = picture.shape[:2]
    boxes_N6 = np.ones((len(boxes_N4), _COLUMNS))
    boxes_N6[:, :4] = (boxes_N4 / [width, height, width, height]).clip(0.0, 1.0)
    boxes_N6[:, _INDEX] = np.arange(len(boxes_N4))
    has_area_N = (boxes_N6[:, :2] < boxes_N6[:, 2:4]).all(axis=1)  # albumentations refuses others
    _set_seed(pipeline, seed)
    changed = pipeline(image=picture, bboxes=boxes_N6[has_area_N])
    new_picture = np.asarray(changed["image"], dtype=np.uint8)
    height, width = new_picture.shape[:2]
    boxes_M6 = np.asarray(changed["bboxes"], dtype=np.float64).reshape(-1, _COLUMNS)  # of none: (0, 4)
    return new_picture, ChangedBoxes(
        boxes=boxes_M6[:, :4] * [width, height, width, height],
        kept=boxes_M6[:, _INDEX].astype(np.int64),
        left=boxes_M6[:, _LEFT],
    )


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


def _compose(transforms: list[albumentations.BasicTransform]) -> albumentations.Compose:
    # nothing is filtered but what has no area left: who asks for boxes judges the rest
    boxes = albumentations.BboxParams(format="albumentations", check_each_transform=False)
    pipeline = albumentations.Compose(transforms, bbox_params=boxes)
    # one pair of generators for all transforms
    pipeline.set_random_state(np.random.Generator(np.random.PCG64(0)), random.Random(0))  # noqa: S311
    return pipeline


def _set_seed(pipeline: albumentations.Compose, seed: int) -> None:
    # set in place: a new Compose takes milliseconds
    pipeline.py_random.seed(seed)
    pipeline.random_generator.bit_generator.state = np.random.PCG64(seed).state


def _areas(boxes_N6: NDArray[np.float64]) -> NDArray[np.float64]:
    areas_N: NDArray[np.float64] = (boxes_N6[:, 2:4] - boxes_N6[:, :2]).prod(axis=1)
    return areas_N


def _geometric(params: AugmentationParams, side_px: int) -> list[albumentations.BasicTransform]:
    of_px = _crop_from_px(params) or side_px
    crop = _CropOfSameProportions((of_px, of_px), scale=(params.crop_scale, 1.0))
    crop.max_change = params.crop_ratio if isinstance(params, PictureAugmentationParams) else 1.0
    transforms = [crop, *_flips(params.flip_horizontal, params.flip_vertical), *_rotation(params)]
    if of_px != side_px:
        transforms.append(_CropOfSize(height=side_px, width=side_px, p=1.0))
    reach_px = round(params.translate_fraction * side_px)
    if reach_px > 0:
        # a shift by whole pixels; albumentations' Affine, which interpolates, takes eight times as long
        pad = albumentations.Pad(padding=reach_px, fill=FILL, p=1.0)
        transforms += [pad, _CropOfSize(height=side_px, width=side_px, p=1.0)]
    return transforms


def _crop_from_px(params: AugmentationParams) -> int | None:
    return params.crop_from_px if isinstance(params, PictureAugmentationParams) else None


def _rotation(params: AugmentationParams) -> list[albumentations.BasicTransform]:
    if not isinstance(params, PictureAugmentationParams) or params.rotation_degrees == 0.0:
        return []
    reach = params.rotation_degrees
    return [albumentations.Rotate(limit=(-reach, reach), fill=FILL, p=1.0)]  # about the middle, bilinear


def _flips(horizontal: float, vertical: float) -> list[albumentations.BasicTransform]:
    flips = ((albumentations.HorizontalFlip, horizontal), (albumentations.VerticalFlip, vertical))
    return [flip(p=probability) for flip, probability in flips if probability > 0.0]


def _photometric(params: AugmentationParams) -> list[albumentations.BasicTransform]:
    reaches = (params.brightness, params.contrast, params.saturation)
    if not any((*reaches, params.hue)):
        return []
    brightness, contrast, saturation = ((1.0 - reach, 1.0 + reach) for reach in reaches)
    jitter = albumentations.ColorJitter(
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        hue=(-params.hue, params.hue),
        p=1.0,
    )
    return [jitter]


def _cutout(params: AugmentationParams, side_px: int) -> list[albumentations.BasicTransform]:
    """Return the squares that hide, wholly inside the picture; they may overlap.

    Source: DeVries, Taylor 2017, Improved Regularization of Convolutional Neural Networks with Cutout.
    """
    if not isinstance(params, PictureAugmentationParams) or params.cutout is None:
        return []
    hole_px, number = max(1, round(params.cutout.side_fraction * side_px)), params.cutout.holes
    holes = albumentations.CoarseDropout(
        num_holes_range=(number, number),
        hole_height_range=(hole_px, hole_px),
        hole_width_range=(hole_px, hole_px),
        fill=FILL,
        p=1.0,
    )
    return [holes]
