"""Which kind of VIA file this is, by its content and never by its name.

A real project may be called via_region_data.json, and real annotations via_project.json.

Source: what VIA writes: via-1.x.y/via.js (1.0.6), via-2.x.y/src/via.js (2.0.11),
via-3.x.y/src/js/_via_data.js and _via_import_export.js (3.0.10).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.decode import Member
from cnnpipe.formats.via.records import Kind

_CSV_HEADER = re.compile(
    r'"?#?\s*"?filename"?\s*[,;\t]\s*"?file_size"?\s*[,;\t]'
    r"|(?=.*\bfilename\b)(?=.*\bregion_shape_attributes\b)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile("sep=.?")  # a hint for Excel
_VIA_3_CSV = re.compile(r'"?# *(Exported using VGG Image Annotator|CSV_HEADER *= *"*metadata_id *"*[,;\t])')
_MOST_COMMENTS: Final = 20  # lines before the columns of VIA 3's CSV; it writes ten
_WINDOW: Final = 65_536  # characters that are looked at
_ADDRESS = re.compile(
    r"(https?://|file://|/|\.{1,2}/|[A-Za-z]:\\)\S|.*\.(jpe?g|png|gif|bmp|tiff?|webp)$", re.IGNORECASE
)
_PROJECT_KEYS: Final = frozenset({"_via_settings", "_via_img_metadata", "_via_attributes"})
_VIA_3_KEYS: Final = frozenset({"project", "file", "metadata", "view"})
_COCO_KEYS: Final = frozenset({"images", "annotations"})


def detect_json_kind(members: Sequence[Member]) -> Kind | None:
    """Return the kind of a JSON object, given by its members; None: no kind that VIA writes."""
    keys = {key for key, _ in members}
    if "_via_img_metadata" in keys or keys >= _PROJECT_KEYS:
        return "project-json"
    if not keys or any(_is_entry(value) for _, value in members):
        return "annotations-json"
    if keys >= _VIA_3_KEYS:
        return "via3-project"
    if keys >= _COCO_KEYS:
        return "coco-json"
    return "attributes-json" if keys <= {"region", "file"} else None


def detect_text_kind(text: str) -> Kind | None:
    """Return the kind of a text that is not JSON; None: no kind that VIA writes.

    Only its beginning is looked at, from the first character that is no blank.
    """
    lines = _first_lines(text)
    if not lines:
        return None
    if any(_VIA_3_CSV.match(line) for line in lines[:_MOST_COMMENTS]):
        return "via3-csv"
    if _CSV_HEADER.match(lines[1] if len(lines) > 1 and _SEPARATOR.fullmatch(lines[0]) else lines[0]):
        return "annotations-csv"
    addresses = [line for line in lines if line != "#" and not line.startswith("# ")]
    return "url-list" if addresses and all(map(_ADDRESS.match, addresses)) else None


def _first_lines(text: str) -> list[str]:
    """Return the first lines that are not blank, stripped; one that is cut off at the end is left out."""
    start = next(
        (place for place in range(0, len(text), _WINDOW) if not text[place : place + _WINDOW].isspace()), None
    )
    if start is None:
        return []
    end = start + 2 * _WINDOW  # what begins in the first half
    lines = [line.strip() for line in text[start:end].splitlines()]
    if end < len(text) and len(lines) > 1:
        lines.pop()
    return [line for line in lines if line]


def _is_entry(value: msgspec.Raw | Any) -> bool:
    if not isinstance(value, msgspec.Raw):
        return isinstance(value, Mapping) and "filename" in value
    try:
        return _ENTRY.decode(value).filename is not None
    except (msgspec.DecodeError, RecursionError):
        return False


class _Entry(msgspec.Struct):
    filename: str | None = None


_ENTRY: Final = msgspec.json.Decoder(_Entry)
