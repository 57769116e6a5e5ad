"""Entries exactly as VIA writes them, decoded by their types: the way that nearly all of a large file takes.

Whatever is not as expected makes `read_clean` give up, and the entry is read field by field instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.long_outlines import read_long_shape
from cnnpipe.formats.via.records import ViaEntry, ViaRegion
from cnnpipe.formats.via.regions import in_order, open_outline
from cnnpipe.geometry.shapes import PlainShape, Polygon, Polyline, Shape

_LONG: Final = 2**18  # bytes of an entry; a longer one has outlines of thousands of points
_MOST_SHARED: Final = 2**14  # different sets of attributes that are kept in view
_NO_ATTRIBUTES: Final = msgspec.Raw(b"{}")


class _Region(msgspec.Struct, forbid_unknown_fields=True):
    shape_attributes: PlainShape
    region_attributes: msgspec.Raw = _NO_ATTRIBUTES


class _LongRegion(msgspec.Struct, forbid_unknown_fields=True):
    shape_attributes: msgspec.Raw
    region_attributes: msgspec.Raw = _NO_ATTRIBUTES


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    filename: str
    regions: list[_Region] | dict[str, _Region]
    size: int = -1
    file_attributes: msgspec.Raw = _NO_ATTRIBUTES
    fileref: str | None = None  # VIA 1
    base64_img_data: str = ""  # VIA 1; always empty


class _LongEntry(msgspec.Struct, forbid_unknown_fields=True):
    filename: str
    regions: list[_LongRegion] | dict[str, _LongRegion]
    size: int = -1
    file_attributes: msgspec.Raw = _NO_ATTRIBUTES
    fileref: str | None = None
    base64_img_data: str = ""


class SharedAttributes:
    """The attributes of one file, of its regions and of its pictures: those of equal text are one object.

    Most regions differ in their place alone, and a dict is the largest part of what is kept of them.
    """

    def __init__(self) -> None:
        self._by_text: dict[bytes, dict[str, Any]] = {}

    def decode(self, text: msgspec.Raw) -> dict[str, Any]:
        """Return the attributes; nobody may change them.

        Raises:
            msgspec.DecodeError: they are no object.
        """
        key = bytes(text)
        known = self._by_text.get(key)
        if known is None:
            known = _ATTRIBUTES.decode(key)
            if len(self._by_text) < _MOST_SHARED:
                self._by_text[key] = known
        return known


_ATTRIBUTES: Final = msgspec.json.Decoder(dict[str, Any])
_DECODER: Final = msgspec.json.Decoder(_Entry)
_LONG_DECODER: Final = msgspec.json.Decoder(_LongEntry)


def read_clean(key: str, text: msgspec.Raw, shared: SharedAttributes) -> tuple[ViaEntry, bool] | None:
    """Return the entry and whether VIA 1 wrote it; None where something in it is not as VIA writes it."""
    try:
        is_long = memoryview(text).nbytes > _LONG
        entry = _LONG_DECODER.decode(text) if is_long else _DECODER.decode(text)
        regions: Sequence[_Region | _LongRegion] = in_order(entry.regions)
        read_regions = [
            ViaRegion(
                number=number, shape=_shape_of(region), attributes=shared.decode(region.region_attributes)
            )
            for number, region in enumerate(regions)
        ]
        file_attributes = shared.decode(entry.file_attributes)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    if not entry.filename.strip() or entry.base64_img_data:
        return None
    read = ViaEntry(
        key=key,
        filename=entry.filename,
        size_bytes=entry.size if entry.size > 0 else None,
        regions=tuple(read_regions),
        file_attributes=file_attributes,
        findings=(),
    )
    return read, isinstance(entry.regions, Mapping) or entry.fileref is not None


def _shape_of(region: _Region | _LongRegion) -> Shape:
    """Return the shape; JSON has no number that is not finite, and the types refuse negative sizes."""
    shape = region.shape_attributes
    if isinstance(shape, msgspec.Raw):
        shape = read_long_shape(shape)
    return open_outline(shape) if isinstance(shape, Polygon | Polyline) else shape
