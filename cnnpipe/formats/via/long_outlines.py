"""Shapes with outlines of very many points, read without a number object for each coordinate.

A coordinate is five bytes of text, and a pointer and a number of 32 bytes in memory: a file of one polygon
with a million points would grow to seven times its size, before anything is done with it. Annotators work on
a grid of pixels, so that few of these numbers differ; one object for each value is enough.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from cnnpipe.geometry.shapes import PlainShape, Polygon, Polyline

_LONG: Final = 2**14  # bytes of a shape; a shorter one is decoded at once
_CHUNK: Final = 2**16  # bytes of text decoded in one go
_MOST_VALUES: Final = 2**16  # shared; numbers of which there are more are long texts themselves

_NUMBERS: Final = msgspec.json.Decoder(list[float])
_SHAPE: Final = msgspec.json.Decoder(PlainShape)
_KINDS: Final[dict[str, type[Polygon | Polyline]]] = {"polygon": Polygon, "polyline": Polyline}


class _Outline(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    all_points_x: msgspec.Raw
    all_points_y: msgspec.Raw


_OUTLINE: Final = msgspec.json.Decoder(_Outline)


def read_long_shape(text: msgspec.Raw) -> PlainShape:
    """Return the shape that the JSON text of its attributes describes.

    Raises:
        msgspec.DecodeError: it is not as VIA writes it.
    """
    if memoryview(text).nbytes < _LONG:
        shape: PlainShape = _SHAPE.decode(text)
        return shape
    outline = _OUTLINE.decode(text)
    if outline.name not in _KINDS:
        raise msgspec.ValidationError("no outline")
    values: dict[float, float] = {}
    xs, ys = (tuple(_shared(each, values)) for each in (outline.all_points_x, outline.all_points_y))
    return _KINDS[outline.name](xs, ys)


def read_numbers(text: msgspec.Raw) -> list[float]:
    """Return a list of numbers, equal ones as one object.

    Raises:
        msgspec.DecodeError: it is no list, or something in it no number.
    """
    return list(_shared(text, {}))


def _shared(text: msgspec.Raw, values: dict[float, float]) -> Iterator[float]:
    """Yield the numbers of a list; equal ones are one object, as far as `values` may grow."""
    for chunk in _chunks(bytes(text)):
        for number in _NUMBERS.decode(chunk):
            if number in values:
                yield values[number]
            else:
                if len(values) < _MOST_VALUES:
                    values[number] = number
                yield number


def _chunks(text: bytes) -> Iterator[bytes]:
    """Yield the list in pieces that are lists themselves: cut at commas, as one of numbers has no others."""
    if text[:1] != b"[":
        raise msgspec.ValidationError("no list")
    start = 1
    while start < len(text):
        comma = text.find(b",", start + _CHUNK)
        end = len(text) - 1 if comma < 0 else comma
        piece = text[start:end]
        if not piece.strip() and start > 1:
            raise msgspec.ValidationError("ends with a comma")
        yield b"[" + piece + b"]"
        start = end + 1
