"""The frozen records that travel between the data stages, as lines of JSON.

Coordinates are pixels of the picture as a viewer shows it (EXIF orientation applied), origin at
its top left corner, y down; a box is xyxy.
"""

from typing import Any, Literal

import msgspec

from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Shape

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Severity = Literal["error", "warning", "info"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing noticed in the data, with its place and what to do about it."""

    code: str  # e.g. "picture-missing"; the key of validate.limits
    severity: Severity
    where: str  # image_id, or an annotation file
    region: int | None = None  # number of the region in its VIA file, from 0
    what: str
    fix: str


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture as `ingest` found it: a line of data/ingested/images.jsonl."""

    image_id: str  # POSIX path below the raw folder
    width: int  # pixels, EXIF orientation applied
    height: int
    mode: str  # Pillow's name of the stored form: L, P, RGB, RGBA, CMYK, I;16 ...
    exif_orientation: int  # 1 to 8; 1 is upright
    size_bytes: int
    sha256: str  # of the file
    perceptual_hash: str  # 16 hex digits, 64 bits
    file_attributes: dict[str, Any]  # as VIA holds them


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """One region as VIA holds it: a line of data/ingested/annotations.jsonl."""

    image_id: str
    region: int  # its number in the VIA file, from 0
    source: str  # the annotation file, POSIX path below the raw folder
    shape: Shape | None  # None: VIA keeps a region without a shape
    attributes: dict[str, Any]


class LabelledPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that passed the gate: a line of data/validated/images.jsonl."""

    image_id: str
    width: int
    height: int
    sha256: str
    perceptual_hash: str
    label: str | None  # class of the whole picture, from a file attribute
    file_attributes: dict[str, Any]


class LabelledObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object that passed the gate: a line of data/validated/objects.jsonl."""

    image_id: str
    region: int
    label: str
    box: Box  # clipped to the picture
    outline: list[tuple[float, float]] | None  # of a polygon or curve, clipped box or not; None: a rect
    attributes: dict[str, Any]


class SplitRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where one picture goes, and why: a line of data/splits.jsonl."""

    image_id: str
    split: Split | None  # None: excluded, `reason` says why
    group: str  # pictures of one group never cross splits
    reason: str  # given, pinned, hash, or why the picture is excluded


class PinnedSplit(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that never moves: a line of data/splits_pinned.jsonl, which git tracks."""

    image_id: str
    split: Split
