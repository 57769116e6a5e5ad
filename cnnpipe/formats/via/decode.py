"""Bytes of a JSON file to its value, with the line and column of what is wrong."""

import codecs
import json
from typing import Any

import msgspec

from cnnpipe.errors import AnnotationError

_FIX = "export the annotations from VIA again, or restore the file from a copy"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def to_utf8(content: bytes, *, where: str) -> bytes:
    """Return the text as UTF-8 without a byte order mark.

    Raises:
        AnnotationError: the bytes are no text.
    """
    try:
        if content.startswith(_UTF_16):
            return content.decode("utf-16").encode()
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"{where}: byte {error.start}"
        raise AnnotationError(place, "not UTF-8 text, so not a VIA file", _FIX) from error
    return content.removeprefix(codecs.BOM_UTF8)


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


def _decode_mildly(text: bytes, where: str) -> Any:
    """Read what msgspec refuses: either it is harmless, or the standard library knows its place."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        # of a text that is cut off, the place is that of its opening quote
        ended = error.msg.startswith("Unterminated") or not error.doc[error.pos :].strip()
        what = "the file ends too early" if ended else f"not JSON: {error.msg}"
        raise AnnotationError(f"{where}: line {error.lineno}, column {error.colno}", what, _FIX) from error
    except UnicodeEncodeError as error:
        raise AnnotationError(where, "a text holds half of a surrogate pair", _FIX) from error
    except RecursionError as error:
        raise AnnotationError(where, "nested too deeply for a VIA file", _FIX) from error
    except ValueError as error:  # an integer of thousands of digits
        raise AnnotationError(where, str(error).partition(";")[0], _FIX) from error
    return value
