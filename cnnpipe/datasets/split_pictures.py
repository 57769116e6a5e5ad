"""What views are made of: the pictures that passed the gate, each with its objects and its split."""

import sys
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe import files
from cnnpipe.annotations import LabelledObject, LabelledPicture, Split, SplitRow
from cnnpipe.errors import DataError
from cnnpipe.formats.pictures import read_picture


class SplitPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, the objects in it in the order of their records, and where it goes."""

    picture: LabelledPicture
    objects: list[LabelledObject]
    split: Split | None  # None: excluded
    group: str


class LabelAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of VIA that hold the classes, as `validate` decided."""

    label_attribute: str | None  # of regions
    image_label_attribute: str | None  # of files


class ViewInputs(msgspec.Struct, frozen=True, kw_only=True):
    """All that a view is planned from, and where its pixels lie."""

    pictures: list[SplitPicture]  # in the order of the validated records
    attributes: LabelAttributes
    raw_dir: Path  # image ids are paths below it


class _ValidationReport(msgspec.Struct, frozen=True):
    decisions: LabelAttributes


def read_view_inputs(validated: Path, splits: Path, raw_dir: Path) -> ViewInputs:
    """Return what stages `validate` and `split` say of the pictures in `raw_dir`.

    Raises:
        DataError: a file is missing or cut off, or the records do not fit each other.
    """
    pictures = files.read_jsonl(validated / "images.jsonl", LabelledPicture)
    rows = {row.image_id: row for row in files.read_jsonl(splits, SplitRow)}
    without = [picture.image_id for picture in pictures if picture.image_id not in rows]
    if without:
        what = f"{len(without)} validated pictures are not in it, the first is {without[0]}"
        raise DataError(str(splits), what, "run `cnnpipe split` again")
    objects = _objects_by_picture(validated / "objects.jsonl", pictures)
    return ViewInputs(
        pictures=[_to_split_picture(p, objects[p.image_id], rows[p.image_id]) for p in pictures],
        attributes=files.read_json(validated / "report.json", _ValidationReport).decisions,
        raw_dir=raw_dir,
    )


def decode(picture: LabelledPicture, raw_dir: Path, *, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Return the pixels (H, W, channels) of a picture, upright.

    Raises:
        DataError: it cannot be read any more, or has another size than when `ingest` saw it.
    """
    path = raw_dir / picture.image_id
    # `ingest` has refused what is too large
    pixels = read_picture(path, channels=channels, max_pixels=sys.maxsize)
    if pixels.shape[:2] != (picture.height, picture.width):
        what = f"is {pixels.shape[1]} x {pixels.shape[0]} px, but was {picture.width} x {picture.height}"
        raise DataError(str(path), what, "the picture has changed: run `dvc repro`")
    return pixels


def _objects_by_picture(path: Path, pictures: list[LabelledPicture]) -> dict[str, list[LabelledObject]]:
    objects: dict[str, list[LabelledObject]] = {picture.image_id: [] for picture in pictures}
    for item in files.read_jsonl(path, LabelledObject):
        if item.image_id not in objects:
            what = f"object {item.region} is on {item.image_id}, which is not in images.jsonl"
            raise DataError(str(path), what, "run `cnnpipe validate` again")
        objects[item.image_id].append(item)
    return objects


def _to_split_picture(picture: LabelledPicture, objects: list[LabelledObject], row: SplitRow) -> SplitPicture:
    return SplitPicture(picture=picture, objects=objects, split=row.split, group=row.group)
