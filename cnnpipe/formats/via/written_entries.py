"""Pictures, regions and keys as the files of VIA 1 and 2 hold them, and what is lost of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.losses import not_exact_loss, pixel_size_loss
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaRegion
from cnnpipe.formats.via.written_values import checked_shape_value, plain_value

Held = tuple[dict[str, Any], list[Loss]]  # what is written, and what it cannot hold


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one kind of file to the next."""

    closes_polygons: bool = False  # ends them at their first point
    holds_unnamed: bool = True  # an attribute called ""


VIA_1: Final = Form(closes_polygons=True)
VIA_2: Final = Form()


def held_entry(entry: ViaEntry, form: Form) -> Held:
    """Return an entry with all that VIA 2 needs in it.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    regions, losses = held_regions(entry, form)
    attributes, lost = held_attributes(entry.file_attributes, form, entry.filename)
    value = {
        "filename": entry.filename,
        "size": written_size(entry),
        "regions": regions,
        "file_attributes": attributes,
    }
    return value, [*losses, *lost, *pixel_size_loss(entry)]


def held_regions(entry: ViaEntry, form: Form) -> tuple[list[dict[str, Any]], list[Loss]]:
    """Return the regions of an entry, in their order.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    held = [held_region(region, form, entry.filename) for region in entry.regions]
    return [value for value, _ in held], [loss for _, lost in held for loss in lost]


def held_region(region: ViaRegion, form: Form, where: str) -> Held:
    """Return `shape_attributes` ({} without a shape) and `region_attributes` of one region.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    shape: dict[str, Any] = {}
    losses: list[Loss] = []
    if region.shape is not None:
        shape, lost = checked_shape_value(region.shape, closed=form.closes_polygons, where=where)
        losses = [Loss(what=lost, where=where, region=region.number)] if lost else []
    attributes, lost_values = held_attributes(region.attributes, form, where, region.number)
    return {"shape_attributes": shape, "region_attributes": attributes}, [*losses, *lost_values]


def held_attributes(attributes: Mapping[str, Any], form: Form, where: str, region: int | None = None) -> Held:
    """Return the attributes of a region or a picture."""
    losses = list(not_exact_loss(attributes, where, region))
    value: dict[str, Any] = plain_value(attributes)
    if "" not in value or form.holds_unnamed:
        return value, losses
    what = "attribute without a name"
    return (
        {name: each for name, each in value.items() if name},
        [*losses, Loss(what=what, where=where, region=region)],
    )


def written_size(entry: ViaEntry) -> int:
    """Return the size in bytes as VIA writes it: -1 where it is not known."""
    return -1 if entry.size_bytes is None else entry.size_bytes


def via_key(entry: ViaEntry) -> str:
    """Return the key as VIA builds it: file name and size."""
    return f"{entry.filename}{written_size(entry)}"


def unique_keys(entries: Sequence[ViaEntry]) -> list[str]:
    """Return the key to write each entry under, no two alike.

    Its own, unless an entry before it has that; then the one that VIA builds, numbered if need be.
    """
    taken = {entry.key for entry in entries}
    keys: dict[str, None] = {}
    for entry in entries:
        key = entry.key
        if not key or key in keys:
            key = _free_key(via_key(entry), taken)
            taken.add(key)
        keys[key] = None
    return list(keys)


def key_losses(entries: Sequence[ViaEntry], keys: Sequence[str]) -> Iterator[Loss]:
    """Yield the keys that could not stay, for another entry has them."""
    for entry, key in zip(entries, keys, strict=True):
        if key != entry.key:
            detail = f"{entry.key!r} becomes {key!r}"
            yield Loss(what="key that another entry has", where=entry.filename, detail=detail)


def encode_entries(
    entries: Sequence[ViaEntry], keys: Sequence[str], hold: Callable[[ViaEntry], Held]
) -> tuple[bytes, list[Loss]]:
    """Return the JSON object of all entries by their keys, and what it cannot hold.

    One entry at a time: their values together would take many times the room of the text.
    """
    encode = msgspec.json.Encoder().encode
    parts: list[bytes] = []
    losses: list[Loss] = []
    for entry, key in zip(entries, keys, strict=True):
        value, lost = hold(entry)
        losses += lost
        parts.append(encode(key) + b":" + encode(value))
    return b"{" + b",".join(parts) + b"}", losses


def _free_key(key: str, taken: set[str]) -> str:
    number, numbered = 1, key
    while numbered in taken:
        number += 1
        numbered = f"{key}#{number}"
    return numbered
