"""Write annotations CSV as VIA 2 exports it.

Source: via-2.x.y/src/via.js (2.0.11), `pack_via_metadata`, `import_annotations_from_csv` and
`parse_csv_line`: file name and size are not quoted, and a row with more than seven cells is dropped.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.losses import file_losses, pixel_size_loss
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile
from cnnpipe.formats.via.written_entries import (
    VIA_2,
    held_attributes,
    held_regions,
    via_key,
    written_size,
)

HEADER: Final = (
    "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
)
_UNHOLDABLE: Final = re.compile('[,"\n\r]')


def write_csv(file: ViaFile) -> tuple[bytes, list[Loss]]:
    r"""Return the CSV, and what it cannot hold.

    Lines end with \n, and nothing follows the last, as in VIA. A picture whose name no row can hold is left
    out with its regions.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    lines: list[bytes] = [HEADER.encode()]
    losses = list(file_losses(file))
    seen: set[str] = set()
    for entry in file.entries:
        if _UNHOLDABLE.search(entry.filename):
            losses.append(_left_out(entry))
            continue
        rows, lost = _rows(entry)
        lines += rows
        losses += [*lost, *_key_losses(entry, seen)]
        seen.add(via_key(entry))
    return b"\n".join(lines), losses


def _left_out(entry: ViaEntry) -> Loss:
    what = "picture with a comma, a quotation mark or the end of a line in its name"
    return Loss(what=what, where=entry.filename, detail=f"{len(entry.regions)} regions")


def _rows(entry: ViaEntry) -> tuple[list[bytes], list[Loss]]:
    regions, losses = held_regions(entry, VIA_2)
    attributes, lost = held_attributes(entry.file_attributes, VIA_2, entry.filename)
    start = b",".join([entry.filename.encode(), str(written_size(entry)).encode(), _cell(attributes)])
    held = [region for region in regions if region["shape_attributes"] or region["region_attributes"]]
    rows = [
        b",".join(
            [
                start,
                f"{len(held)},{number}".encode(),
                _cell(region["shape_attributes"]),
                _cell(region["region_attributes"]),
            ]
        )
        for number, region in enumerate(held)
    ]
    losses += [*lost, *_empty_regions(entry), *pixel_size_loss(entry)]
    return rows or [start + b',0,0,"{}","{}"'], losses


def _cell(value: dict[str, Any]) -> bytes:
    return b'"' + msgspec.json.encode(value).replace(b'"', b'""') + b'"'


def _empty_regions(entry: ViaEntry) -> Iterator[Loss]:
    for region in entry.regions:
        if region.shape is None and not region.attributes:
            what = "region with neither shape nor attributes"
            yield Loss(what=what, where=entry.filename, region=region.number)


def _key_losses(entry: ViaEntry, seen: set[str]) -> Iterator[Loss]:
    key = via_key(entry)
    if key in seen:
        what = "entry of the same file name and size as another, and so one with it"
        yield Loss(what=what, where=entry.filename, detail=repr(entry.key))
    elif entry.key != key:
        detail = f"{entry.key!r} becomes {key!r}"
        yield Loss(what="key that is not file name and size", where=entry.filename, detail=detail)
