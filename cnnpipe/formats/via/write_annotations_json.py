"""Write annotations JSON as VIA 1 and VIA 2 export it.

Source: via-2.x.y/src/via.js (2.0.11) and via-1.x.y/via.js (1.0.6), `pack_via_metadata` and
`import_annotations_from_json`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from cnnpipe.formats.via.losses import file_losses
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile
from cnnpipe.formats.via.written_entries import (
    VIA_1,
    Form,
    Held,
    encode_entries,
    held_entry,
    key_losses,
    unique_keys,
    via_key,
)
from cnnpipe.geometry.shapes import Ellipse

_FORM: Final = Form(holds_unnamed=False)  # VIA 2 passes them over when it imports annotations


def write_annotations_2(file: ViaFile) -> tuple[bytes, list[Loss]]:
    """Return the annotations JSON of VIA 2, and what it cannot hold.

    Every entry has all four that VIA exports; its key stays where it is unique.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    keys = unique_keys(file.entries)
    content, losses = encode_entries(file.entries, keys, lambda entry: held_entry(entry, _FORM))
    return content, [*file_losses(file), *key_losses(file.entries, keys), *losses]


def write_annotations_1(file: ViaFile) -> tuple[bytes, list[Loss]]:
    """Return the annotations JSON of VIA 1, and what it cannot hold.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    keys = unique_keys(file.entries)
    content, losses = encode_entries(file.entries, keys, _held_entry_1)
    lost_keys = [*key_losses(file.entries, keys), *_unfound_keys(file.entries, keys)]
    return content, [*file_losses(file), *lost_keys, *losses]


def _held_entry_1(entry: ViaEntry) -> Held:
    value, losses = held_entry(entry, VIA_1)
    value_1 = {
        "fileref": "",
        "size": value["size"],
        "filename": value["filename"],
        "base64_img_data": "",
        "file_attributes": value["file_attributes"],
        "regions": {str(number): region for number, region in enumerate(value["regions"])},
    }
    return value_1, [*losses, *_turned_ellipses(entry)]


def _turned_ellipses(entry: ViaEntry) -> Iterator[Loss]:
    for region in entry.regions:
        if isinstance(region.shape, Ellipse) and region.shape.theta != 0:
            what = "turn of an ellipse, which VIA 1 keeps but does not draw"
            yield Loss(what=what, where=entry.filename, region=region.number)


def _unfound_keys(entries: Sequence[ViaEntry], keys: Sequence[str]) -> Iterator[Loss]:
    """Yield the entries that VIA 1 passes over: it looks for file name and size among its pictures."""
    for entry, key in zip(entries, keys, strict=True):
        if entry.size_bytes is not None and key != via_key(entry):
            what = "key that is not file name and size, by which VIA 1 finds a picture"
            yield Loss(what=what, where=entry.filename, detail=repr(key))
