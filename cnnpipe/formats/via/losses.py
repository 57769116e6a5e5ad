"""What a format cannot hold of a whole file or of a picture, in words that can be counted."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile
from cnnpipe.formats.via.written_values import is_exact_value, is_filled_in

NO_SHAPE = "region without a shape"
NO_LABEL = "region without a label"
NOT_EXACT = "number that JavaScript does not have, written as the nearest or as null"


def file_losses(file: ViaFile, *, order: bool = False) -> Iterator[Loss]:
    """Yield what only a project holds: declared attributes, settings, and the order of the pictures.

    Args:
        file: what is written.
        order: whether the format keeps an order of its own.
    """
    for part in ("region", "file"):
        for name, declared in file.attributes.get(part, {}).items():
            detail = f"{part} attribute {name!r}: {declared.type}, {len(declared.options)} options"
            yield Loss(what="declaration of an attribute", where="", detail=detail)
    if file.settings:
        yield Loss(what="settings of the project", where="", detail=", ".join(map(str, file.settings)))
    if not order and list(file.image_order) != [entry.key for entry in file.entries]:
        yield Loss(what="order of the pictures", where="")


def pixel_size_loss(entry: ViaEntry) -> Iterator[Loss]:
    """Yield the width and height of a picture, where the file states them."""
    if entry.width is not None or entry.height is not None:
        detail = f"{entry.width} x {entry.height}"
        yield Loss(what="size of the picture in pixels", where=entry.filename, detail=detail)


def byte_size_loss(entry: ViaEntry) -> Iterator[Loss]:
    """Yield the size of the picture's file, where it is known."""
    if entry.size_bytes is not None:
        yield Loss(
            what="size of the picture in bytes", where=entry.filename, detail=f"{entry.size_bytes} bytes"
        )


def file_attributes_loss(entry: ViaEntry) -> Iterator[Loss]:
    """Yield the attributes of a picture that are filled in."""
    names = filled_names(entry.file_attributes)
    if names:
        yield Loss(what="attributes of the picture", where=entry.filename, detail=", ".join(names))


def filled_names(attributes: Mapping[str, Any], *, leave_out: Collection[str] = ()) -> list[str]:
    """Return the names of the attributes that are filled in, in their order."""
    return [name for name, value in attributes.items() if name not in leave_out and is_filled_in(value)]


def not_exact_loss(attributes: Mapping[str, Any], where: str, region: int | None = None) -> Iterator[Loss]:
    """Yield the attributes of a picture or a region that hold a number which JavaScript does not have."""
    for name, value in attributes.items():
        if not is_exact_value(value):
            yield Loss(what=NOT_EXACT, where=where, region=region, detail=name)
