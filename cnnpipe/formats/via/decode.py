"""Bytes of a JSON file to its value, with the line and column of what is wrong."""

import codecs
import json
import re
from typing import Any, Final

import msgspec

from cnnpipe.errors import AnnotationError

_FIX: Final = "export the annotations from VIA again, or restore the file from a copy"
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LARGE: Final = 2**20  # bytes; what is smaller cannot fill a memory
_FEWEST_BYTES_PER_BRACKET: Final = 8  # VIA's own files have thirty and more
# Every escape is consumed, so that an escaped backslash before "ud800" is not taken for half a pair.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
# One of these stands in every JSON file of VIA, and in every COCO file.
_MARKS: Final = (
    b'"filename"',
    b'"_via_img_metadata"',
    b'"metadata"',
    b'"annotations"',
    b'"region"',
    b'"file"',
)


class Key:
    """A key of an object; two that are spelled alike stay two, so that none hides another."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


# What stands in an object under each key: still as text, or a value where the text is not strict JSON.
Member = tuple[str, msgspec.Raw | Any]


def to_utf8(content: bytes, *, where: str) -> bytes:
    """Return the text as UTF-8 without a byte order mark.

    Raises:
        AnnotationError: the bytes are no text.
    """
    try:
        if content.startswith(_UTF_16):
            return content.decode("utf-16").encode()
        if not content.isascii():
            content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"{where}: byte {error.start}"
        raise AnnotationError(place, "not UTF-8 text, so not a VIA file", _FIX) from error
    return content.removeprefix(codecs.BOM_UTF8)


def mend_surrogates(text: bytes) -> tuple[bytes, int]:
    """Return JSON text with U+FFFD for each half of a surrogate pair, and how many there were.

    JavaScript, and so VIA, keeps them (half of an emoji that was cut off); no UTF-8 can.
    """
    if rb"\ud" not in text and rb"\uD" not in text:
        return text, 0
    mended, num_halves = [], 0
    end = 0
    for escape in _ESCAPE.finditer(text):
        if escape["half"]:
            mended += [text[end : escape.start()], rb"\ufffd"]
            num_halves, end = num_halves + 1, escape.end()
    return b"".join([*mended, text[end:]]) if mended else text, num_halves


def is_json(text: bytes) -> bool:
    """Whether the first character that is no blank opens an object or a list."""
    return text.lstrip()[:1] in (b"{", b"[")  # copies nothing where no blank stands first


def refuse_dense(text: bytes, *, where: str) -> None:
    """Refuse JSON that no tool writes: an empty list is two bytes of it and sixty of memory.

    Raises:
        AnnotationError: more brackets, or other names, than a file of VIA has.
    """
    if len(text) < _LARGE:
        return
    num_brackets = text.count(b"{") + text.count(b"[")
    if num_brackets * _FEWEST_BYTES_PER_BRACKET > len(text) or not any(mark in text for mark in _MARKS):
        raise AnnotationError(where, "is not a VIA file", _FIX)


def decode_json(text: bytes, *, where: str) -> Any:
    """Return the JSON value of UTF-8 text.

    Of a key that stands twice in one object the last value counts, as in VIA (`JSON.parse`).
    NaN and Infinity, which Python's writers leave behind, are read: the region that holds one
    becomes a finding.

    Raises:
        AnnotationError: cut off or not JSON, with line and column; or nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return _decode_mildly(text, where)
    except RecursionError as error:
        raise AnnotationError(where, "nested too deeply for a VIA file", _FIX) from error


def decode_members(text: bytes | msgspec.Raw, *, where: str) -> list[Member] | None:
    """Return the members of a JSON object in order, the repeated ones too; None: it is no object.

    Their values stay text, a view of `text`, so that each can be read by itself and then be let go.

    Raises:
        AnnotationError: as `decode_json`.
    """
    try:
        return [(key.text, value) for key, value in _MEMBERS.decode(text).items()]
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError):
        value = decode_json(bytes(text), where=where)
    return list(value.items()) if isinstance(value, dict) else None


def members_of(value: bytes | msgspec.Raw | Any, *, where: str) -> list[Member] | None:
    """Return the members of an object, given as its text or as what it is already; None: it is none.

    Raises:
        AnnotationError: as `decode_json`.
    """
    if isinstance(value, bytes | msgspec.Raw):
        return decode_members(value, where=where)
    return list(value.items()) if isinstance(value, dict) else None


def value_of(member: msgspec.Raw | Any, *, where: str) -> Any:
    """Return the value of a member, decoded if it still is text.

    Raises:
        AnnotationError: as `decode_json`.
    """
    return decode_json(bytes(member), where=where) if isinstance(member, msgspec.Raw) else member


def _decode_mildly(text: bytes, where: str) -> Any:
    """Read what msgspec refuses: either it is harmless, or the standard library knows its place."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        # of a text that is cut off, the place is that of its opening quote
        ended = error.msg.startswith("Unterminated") or not error.doc[error.pos :].strip()
        what = "the file ends too early" if ended else f"not JSON: {error.msg}"
        raise AnnotationError(f"{where}: line {error.lineno}, column {error.colno}", what, _FIX) from error
    except RecursionError as error:
        raise AnnotationError(where, "nested too deeply for a VIA file", _FIX) from error
    except ValueError as error:  # an integer of thousands of digits
        raise AnnotationError(where, str(error).partition(";")[0], _FIX) from error
    return value


def _key(_kind: type, text: Any) -> Any:
    return Key(text)


_MEMBERS: Final = msgspec.json.Decoder(dict[Key, msgspec.Raw], dec_hook=_key)
