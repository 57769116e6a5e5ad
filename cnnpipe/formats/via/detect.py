"""Which kind of VIA file this is, by its content and never by its name.

A real project may be called via_region_data.json, and real annotations via_project.json.

Source: what VIA writes: via-1.x.y/via.js (1.0.6), via-2.x.y/src/via.js (2.0.11),
via-3.x.y/src/js/_via_data.js and _via_import_export.js (3.0.10).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from cnnpipe.formats.via.records import Kind

_CSV_HEADER = re.compile(r'#?\s*"?filename"?\s*[,;]\s*"?file_size"?\s*[,;]', re.IGNORECASE)
_ADDRESS = re.compile(
    r"(https?://|file://|/|\.{1,2}/|[A-Za-z]:\\)\S|.*\.(jpe?g|png|gif|bmp|tiff?|webp)$", re.IGNORECASE
)
_PROJECT_KEYS: Final = frozenset({"_via_settings", "_via_img_metadata", "_via_attributes"})
_VIA_3_KEYS: Final = frozenset({"project", "file", "metadata", "view"})
_COCO_KEYS: Final = frozenset({"images", "annotations"})


def detect_json_kind(value: Any) -> Kind | None:
    """Return the kind of a JSON value; None: no kind that VIA writes."""
    if not isinstance(value, Mapping):
        return None
    keys = value.keys()
    if "_via_img_metadata" in keys or keys >= _PROJECT_KEYS:
        return "project-json"
    if not keys or any(_is_entry(entry) for entry in value.values()):
        return "annotations-json"
    if keys >= _VIA_3_KEYS:
        return "via3-project"
    if keys >= _COCO_KEYS:
        return "coco-json"
    return "attributes-json" if keys <= {"region", "file"} else None


def detect_text_kind(text: str) -> Kind | None:
    """Return the kind of a text that is not JSON; None: no kind that VIA writes."""
    lines = [line.strip() for line in text[:100_000].splitlines() if line.strip()]
    if not lines:
        return None
    if lines[0].startswith("# Exported using VGG Image Annotator"):
        return "via3-csv"
    if _CSV_HEADER.match(lines[0]):
        return "annotations-csv"
    return "url-list" if all(_ADDRESS.match(line) for line in lines) else None


def _is_entry(value: Any) -> bool:
    return isinstance(value, Mapping) and "filename" in value
