"""What a VIA file holds, whatever its kind: the records that every reader returns and every writer takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from cnnpipe.annotations import Finding
from cnnpipe.geometry.shapes import Shape

Kind = Literal[
    "annotations-json",
    "project-json",
    "attributes-json",
    "annotations-csv",
    "coco-json",
    "via3-project",
    "via3-csv",
    "url-list",
]
Part = Literal["region", "file"]  # what an attribute belongs to


class ViaRegion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One region with a usable shape, or with none (VIA keeps those)."""

    number: int  # position in its entry, from 0; unreadable regions are counted
    shape: Shape | None
    attributes: dict[str, Any]  # as VIA 2 holds them: texts, option ids, {option id: true} of a checkbox


class ViaEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One picture as the file names it."""

    key: str  # opaque; mostly file name and size
    filename: str  # as it stands: a name, a path of any system, or an address
    size_bytes: int | None  # None: not known (VIA writes -1)
    regions: tuple[ViaRegion, ...]
    file_attributes: dict[str, Any]
    findings: tuple[Finding, ...]  # about its regions
    width: int | None = None  # pixels, where the file states them (COCO); None: only the picture knows
    height: int | None = None


class DeclaredAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute as a project declares it."""

    type: str  # text, checkbox, radio, dropdown, image
    options: dict[str, str]  # option id to what people see; regions hold the id
    description: str = ""
    default_options: dict[str, bool] = {}
    default_value: str = ""  # of a text


class ViaFile(msgspec.Struct, frozen=True, kw_only=True):
    """One VIA file."""

    kind: Kind
    version: str  # "1", "2", "3", or the format version that a project states
    entries: tuple[ViaEntry, ...]  # in the order of the file
    attributes: Mapping[Part, Mapping[str, DeclaredAttribute]]
    image_order: tuple[str, ...]  # keys of entries in the order that VIA shows them
    findings: tuple[Finding, ...]  # about the file and entries that cannot be used
    num_images: int  # as the file holds them, unusable ones included
    num_regions: int  # the same; a `null` is none
    settings: Mapping[str, Any] = {}  # `_via_settings` of a VIA 2 project; else what answers to it


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Something a file holds that the format it was written in cannot."""

    what: str  # in words, the same for all of its kind, so that they can be counted
    where: str  # file name of the picture; "" for the whole file
    region: int | None = None  # its number
    detail: str = ""  # what exactly, where that differs from one to the next


def all_findings(file: ViaFile) -> Sequence[Finding]:
    """Return what is to be said of the file, of its entries and of their regions, in its order."""
    return [*file.findings, *(finding for entry in file.entries for finding in entry.findings)]


def num_regions(entry: ViaEntry) -> int:
    """Return how many regions an entry has in its file, unreadable ones included."""
    numbers = [region.number for region in entry.regions]
    numbers += [finding.region for finding in entry.findings if finding.region is not None]
    return max(numbers, default=-1) + 1
