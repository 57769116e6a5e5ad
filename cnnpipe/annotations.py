"""The frozen records that travel between the data stages, as lines of JSON.

Coordinates are pixels of the picture as a viewer shows it (EXIF orientation applied), origin at
its top left corner, y down; a box is xyxy.

Of some there are millions; none can be part of a cycle, so the garbage collector need not look (`gc=False`).
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Shape

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
Unit = Literal["picture", "region", "set"]  # what a finding is about, and a limit a share of

# Every code a finding can have. error: something is left out; warning: look at it; info: by rule.
FINDING_CODES: Final[Mapping[str, tuple[Severity, Unit]]] = MappingProxyType(
    {
        "file-repeated": ("warning", "set"),  # the same annotation file twice
        "file-repaired": ("warning", "set"),  # read in spite of a fault, e.g. `undefined` in a CSV
        "file-unsafe": ("warning", "set"),  # of a kind that loses what was annotated: VIA's own COCO
        "file-empty": ("warning", "set"),  # names no picture
        "media-left-out": ("warning", "set"),  # videos, sounds, frames and time segments of VIA 3
        "attribute-conflict": ("warning", "set"),  # declared in two ways
        "field-unknown": ("info", "region"),  # a field that is no one's, and is not kept
        "entry-unreadable": ("error", "picture"),  # an entry that names no picture
        "entry-repeated": ("warning", "picture"),  # its key stands twice; the last counts, as in VIA
        "picture-missing": ("error", "picture"),
        "picture-outside": ("error", "picture"),  # a path that leaves the raw folder
        "picture-ambiguous": ("error", "picture"),  # several files have its name
        "picture-unreadable": ("error", "picture"),  # cut off, no picture, or too many pixels
        "picture-case": ("warning", "picture"),  # found only under another spelling of its name
        "picture-merged": ("info", "picture"),  # annotated in several entries
        "picture-size": ("warning", "picture"),  # not the number of bytes that VIA noted
        "picture-duplicate": ("info", "picture"),  # another file with the same bytes
        "picture-near-duplicate": ("info", "picture"),  # looks like another
        "duplicate-across-splits": ("warning", "picture"),  # looks like one of another given split
        "picture-blank": ("warning", "picture"),  # nothing to be seen: one colour all over
        "picture-unchecked": ("info", "picture"),  # its boxes are a network's, and no person checked them
        "picture-empty": ("info", "picture"),  # no region, and so no object: a negative
        "picture-unannotated": ("info", "picture"),  # no region, and so not yet annotated: left out
        "image-label-missing": ("warning", "picture"),
        "region-unreadable": ("error", "region"),
        "exif-frame": ("warning", "region"),  # fits only the picture before its EXIF turn
        "label-missing": ("error", "region"),
        "label-several": ("error", "region"),
        "label-left-out": ("info", "region"),  # by validate.label_map
        "label-spelling": ("warning", "set"),  # two classes that differ like a typing mistake
        "label-untidy": ("warning", "set"),  # blanks or line ends around it; taken without them
        "class-imbalance": ("warning", "set"),  # one class has many times the objects of another
        "class-rare": ("warning", "set"),  # fewer than three pictures: one split stays without it
        "shape-without-area": ("error", "region"),
        "box-degenerate": ("error", "region"),
        "box-outside": ("error", "region"),
        "box-small": ("warning", "region"),
        "box-huge": ("warning", "region"),  # most of the picture
        "box-clipped": ("info", "region"),
        "box-repeated": ("warning", "region"),  # nearly the box of another region of its class
        "box-contested": ("warning", "region"),  # nearly the box of another region, of another class
        "duplicate-region": ("warning", "region"),
    }
)


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing noticed in the data, with its place and what to do about it."""

    code: str  # a key of FINDING_CODES, and of validate.limits
    severity: Severity
    where: str  # image_id, or an annotation file
    region: int | None = None  # number of the region in its VIA file, from 0
    what: str
    fix: str
    other: str | None = None  # image_id of the other picture, where it is about two


class Picture(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    contrast: float | None = None  # standard deviation of its grey levels, 0 to 127.5; None: not known


class Region(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One region as VIA holds it: a line of data/ingested/annotations.jsonl."""

    image_id: str
    region: int  # its number in the VIA file, from 0; in several files they are counted on
    source: str  # the annotation file, POSIX path below the raw folder
    shape: Shape | None  # None: VIA keeps a region without a shape
    attributes: dict[str, Any]


class LabelledPicture(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A picture that passed the gate: a line of data/validated/images.jsonl."""

    image_id: str
    width: int
    height: int
    sha256: str
    perceptual_hash: str
    label: str | None  # class of the whole picture, from a file attribute
    is_annotated: bool  # has a region in VIA, whether or not one passed the gate
    file_attributes: dict[str, Any]
    is_pending: bool = False  # has no region and is yet to be annotated: no picture of nothing


class LabelledObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An object that passed the gate: a line of data/validated/objects.jsonl."""

    image_id: str
    region: int
    label: str
    box: Box  # clipped to the picture
    shape: Shape  # as it was drawn, not clipped; `geometry` has its outline and its mask
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


def found(  # noqa: PLR0913 (each is a part of the finding)
    code: str, where: str, what: str, fix: str, *, region: int | None = None, other: str | None = None
) -> Finding:
    """Return a finding with the severity of its code."""
    severity, _ = FINDING_CODES[code]
    return Finding(code=code, severity=severity, where=where, region=region, what=what, fix=fix, other=other)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings sorted by place, each once: files do not depend on the order of work."""
    ordered = list(findings)
    # one key after the other, the weightiest last: a tuple for each finding would be as large as the finding
    for key in _KEYS:
        ordered.sort(key=key)
    return [each for place, each in enumerate(ordered) if place == 0 or each != ordered[place - 1]]


def _other(finding: Finding) -> str:
    return finding.other or ""


def _number(finding: Finding) -> int:
    return -1 if finding.region is None else finding.region


_KEYS: Final[tuple[Callable[[Finding], Any], ...]] = (
    *(_other, attrgetter("fix"), attrgetter("what"), attrgetter("code")),
    *(_number, attrgetter("where")),
)
