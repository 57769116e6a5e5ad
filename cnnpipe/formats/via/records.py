"""What a VIA file holds, whatever its kind: the records that every reader of one returns."""

from collections.abc import Mapping
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


class ViaRegion(msgspec.Struct, frozen=True, kw_only=True):
    """One region with a usable shape, or with none (VIA keeps those)."""

    number: int  # position in the file, from 0; unreadable regions are counted
    shape: Shape | None
    attributes: dict[str, Any]


class ViaEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One picture as the file names it."""

    key: str  # opaque; mostly file name and size
    filename: str  # as it stands: a name, a path of any system, or an address
    size_bytes: int | None  # None: not known (VIA writes -1)
    regions: tuple[ViaRegion, ...]
    file_attributes: dict[str, Any]
    findings: tuple[Finding, ...]  # about its regions


class DeclaredAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute as a project declares it."""

    type: str  # text, checkbox, radio, dropdown, image
    options: dict[str, str]  # option id to what people see; regions hold the id


class ViaFile(msgspec.Struct, frozen=True, kw_only=True):
    """One VIA file."""

    kind: Kind
    version: str  # "1", "2", or the format version that a project states
    entries: tuple[ViaEntry, ...]  # in the order of the file
    attributes: Mapping[Literal["region", "file"], Mapping[str, DeclaredAttribute]]
    image_order: tuple[str, ...]  # keys of entries in the order that VIA shows them
    findings: tuple[Finding, ...]  # about the file and entries that cannot be used
