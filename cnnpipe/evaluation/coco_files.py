"""Truth and detections as COCO's JSON files hold them: what pycocotools and its kin read.

Source: https://cocodataset.org/#format-data and #format-results.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np

from cnnpipe.evaluation.arrays import Floats
from cnnpipe.evaluation.predictions import DetectPrediction
from cnnpipe.geometry.boxes import Box

_STEPS_PER_PX: Final = 1024

BoxXywh: TypeAlias = tuple[float, float, float, float]  # left, top, width, height, pixels


class CocoImage(msgspec.Struct, frozen=True, kw_only=True):
    """A picture."""

    id: int  # from 1
    file_name: str
    width: int
    height: int


class CocoAnnotation(msgspec.Struct, frozen=True, kw_only=True):
    """An object in a picture."""

    id: int  # from 1: pycocotools takes 0 for "no match"
    image_id: int
    category_id: int
    bbox: BoxXywh
    area: float
    iscrowd: int = 0


class CocoCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A class."""

    id: int  # from 1, class_index + 1
    name: str


class CocoTruth(msgspec.Struct, frozen=True, kw_only=True):
    """The content of truth.coco.json."""

    info: dict[str, str]
    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


class CocoResult(msgspec.Struct, frozen=True, kw_only=True):
    """A detection: an element of predictions.coco.json."""

    image_id: int
    category_id: int
    bbox: BoxXywh
    score: float


def coco_truth(predictions: Sequence[DetectPrediction], classes: Sequence[str]) -> CocoTruth:
    """Return the objects of the pictures, which are numbered in their order."""
    category_of = {label: number for number, label in enumerate(classes, start=1)}
    objects = [(number, one) for number, of in enumerate(predictions, start=1) for one in of.objects]
    return CocoTruth(
        info={"description": "objects of the split test"},
        images=[
            CocoImage(id=number, file_name=of.image_id, width=of.width, height=of.height)
            for number, of in enumerate(predictions, start=1)
        ],
        annotations=[
            CocoAnnotation(
                id=number,
                image_id=image,
                category_id=category_of[one.label],
                bbox=_xywh(one.box),
                area=one.box.area,
            )
            for number, (image, one) in enumerate(objects, start=1)
        ],
        categories=[CocoCategory(id=number, name=label) for label, number in category_of.items()],
    )


def coco_results(predictions: Sequence[DetectPrediction], classes: Sequence[str]) -> list[CocoResult]:
    """Return the detections in the pictures, numbered as by `coco_truth`."""
    category_of = {label: number for number, label in enumerate(classes, start=1)}
    return [
        CocoResult(image_id=number, category_id=category_of[one.label], bbox=_xywh(one.box), score=one.score)
        for number, of in enumerate(predictions, start=1)
        for one in of.detections
    ]


def rounded(boxes_N4: Floats) -> Floats:
    """Return xyxy boxes to the next 1/1024 px.

    Sums and differences of such numbers are exact, so that a box is the same to the last bit as xyxy and as
    COCO's xywh, and whoever reads the files finds each IoU on the side of a threshold where we found it.
    """
    return np.asarray(np.rint(boxes_N4 * _STEPS_PER_PX) / _STEPS_PER_PX)


def _xywh(box: Box) -> BoxXywh:
    return box.x_min, box.y_min, box.width, box.height
