"""Project JSON of VIA 2: entries, the attributes it declares, its settings, and the order of its pictures."""

from collections.abc import Iterable
from typing import Any

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.annotations_json import parse_entries
from cnnpipe.formats.via.declared import parse_declared
from cnnpipe.formats.via.decode import decode_members, value_of
from cnnpipe.formats.via.records import ViaFile

_FIX = "save the project again in VIA, or restore the file from a copy"


def read_project(text: bytes, *, where: str) -> ViaFile:
    """Return the file with this text; `where` is its name, for findings.

    An entry that `_via_image_id_list` does not name is invisible in VIA, but read here: last.

    Raises:
        AnnotationError: not JSON, or `_via_img_metadata` holds no entries.
    """
    parts = dict(decode_members(text, where=where) or ())
    parsed = parse_entries(parts.pop("_via_img_metadata", None), where=where)
    if parsed is None:
        what = "`_via_img_metadata` is not an object with one entry per picture"
        raise AnnotationError(where, what, _FIX)
    values = {name: value_of(part, where=where) for name, part in parts.items() if name in _SMALL}
    settings = values.get("_via_settings")
    return ViaFile(
        kind="project-json",
        version=str(values.get("_via_data_format_version", "2")),  # absent in 2.0.9 and before
        entries=parsed.entries,
        attributes=parse_declared(values.get("_via_attributes")),
        image_order=_order(values.get("_via_image_id_list"), [entry.key for entry in parsed.entries]),
        findings=parsed.findings,
        num_images=parsed.num_images,
        num_regions=parsed.num_regions,
        settings=settings if isinstance(settings, dict) else {},
    )


_SMALL = ("_via_settings", "_via_attributes", "_via_data_format_version", "_via_image_id_list")


def _order(listed: Any, keys: Iterable[str]) -> tuple[str, ...]:
    ours = dict.fromkeys(keys)
    first = (
        [key for key in listed if isinstance(key, str) and key in ours] if isinstance(listed, list) else []
    )
    return tuple(dict.fromkeys([*first, *ours]))
