"""Objects with one outline of very many points in it, as COCO and VIA 3 write them: with little memory."""

from typing import Any, Final

import msgspec

from cnnpipe.formats.via.decode import decode_members, value_of
from cnnpipe.formats.via.long_outlines import read_numbers

_LONG: Final = 2**16  # bytes of an object; a shorter one is decoded at once


def decode_object(value: msgspec.Raw | Any, outline: str, *, where: str) -> Any:
    """Return the value of an annotation or a row of metadata, decoded if it still is text.

    Args:
        value: its text, or what it is already.
        outline: name of the field that can hold very many numbers, in a list or in a list of one list.
        where: the file, for errors.

    Raises:
        AnnotationError: as `decode_json`.
    """
    if isinstance(value, msgspec.Raw) and memoryview(value).nbytes > _LONG:
        members = dict(decode_members(value, where=where) or [])
        numbers = _read_outline(members.pop(outline, None))
        if numbers is not None:
            others = {name: value_of(each, where=where) for name, each in members.items()}
            return others | {outline: numbers}
    return value_of(value, where=where)


def _read_outline(value: msgspec.Raw | Any) -> list[Any] | None:
    """Return the numbers as they are nested; None: they are not, or there are several lists."""
    if not isinstance(value, msgspec.Raw):
        return None
    text = bytes(value).strip()
    is_nested = text[1:2] == b"["
    if text.count(b"[") != 1 + is_nested:
        return None
    try:
        numbers = read_numbers(msgspec.Raw(text[1:-1].strip() if is_nested else text))
    except msgspec.DecodeError:
        return None
    return [numbers] if is_nested else numbers
