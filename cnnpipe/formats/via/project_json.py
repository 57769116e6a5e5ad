"""Project JSON of VIA 2: entries, the attributes it declares, and the order of its pictures."""

from collections.abc import Mapping
from typing import Any

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.annotations_json import parse_entries
from cnnpipe.formats.via.records import DeclaredAttribute, ViaFile


def read_project(value: Mapping[str, Any], *, where: str) -> ViaFile:
    """Return the file whose JSON value is `value`; `where` is its name, for findings.

    An entry that `_via_image_id_list` does not name is invisible in VIA, but read here: last.

    Raises:
        AnnotationError: `_via_img_metadata` holds no entries.
    """
    metadata = value.get("_via_img_metadata")
    if not isinstance(metadata, Mapping):
        fix = "save the project again in VIA, or restore the file from a copy"
        raise AnnotationError(where, "`_via_img_metadata` is not an object with one entry per picture", fix)
    entries, findings = parse_entries(metadata, where=where)
    declared = value.get("_via_attributes")
    return ViaFile(
        kind="project-json",
        version=str(value.get("_via_data_format_version", "2")),  # absent in 2.0.9 and before
        entries=entries,
        attributes={
            "region": _parse_declared(declared, "region"),
            "file": _parse_declared(declared, "file"),
        },
        image_order=_order(value.get("_via_image_id_list"), [entry.key for entry in entries]),
        findings=findings,
    )


def _parse_declared(declared: Any, part: str) -> dict[str, DeclaredAttribute]:
    definitions = declared.get(part) if isinstance(declared, Mapping) else None
    if not isinstance(definitions, Mapping):
        return {}
    return {
        name: DeclaredAttribute(type=str(definition.get("type", "text")), options=_options(definition))
        for name, definition in definitions.items()
        if isinstance(definition, Mapping)
    }


def _options(definition: Mapping[str, Any]) -> dict[str, str]:
    options = definition.get("options")
    return {key: str(seen) for key, seen in options.items()} if isinstance(options, Mapping) else {}


def _order(listed: Any, keys: list[str]) -> tuple[str, ...]:
    known = set(keys)
    first = (
        [key for key in listed if isinstance(key, str) and key in known] if isinstance(listed, list) else []
    )
    return tuple(dict.fromkeys([*first, *keys]))
