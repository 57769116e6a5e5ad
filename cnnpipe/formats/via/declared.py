"""The attributes that a VIA 2 file declares: `_via_attributes` of a project, or a file of attributes alone.

Source: via-2.x.y/src/via.js (2.0.11), `attribute_property_*` and `project_import_attributes_from_json`.
"""

from collections.abc import Mapping
from typing import Any

from cnnpipe.formats.via.records import DeclaredAttribute, Part


def parse_declared(value: Any) -> Mapping[Part, Mapping[str, DeclaredAttribute]]:
    """Return what `{"region": {...}, "file": {...}}` declares; what is no declaration is left out."""
    parts = value if isinstance(value, Mapping) else {}
    return {"region": _parse_part(parts.get("region")), "file": _parse_part(parts.get("file"))}


def _parse_part(definitions: Any) -> dict[str, DeclaredAttribute]:
    if not isinstance(definitions, Mapping):
        return {}
    return {
        name: _parse_definition(definition)
        for name, definition in definitions.items()
        if isinstance(definition, Mapping)
    }


def _parse_definition(definition: Mapping[str, Any]) -> DeclaredAttribute:
    options, defaults = definition.get("options"), definition.get("default_options")
    return DeclaredAttribute(
        type=_to_text(definition.get("type")) or "text",
        options={key: _to_text(seen) for key, seen in options.items()}
        if isinstance(options, Mapping)
        else {},
        description=_to_text(definition.get("description")),
        default_options=(
            {key: _is_ticked(tick) for key, tick in defaults.items()} if isinstance(defaults, Mapping) else {}
        ),
        default_value=_to_text(definition.get("default_value")),
    )


def _is_ticked(tick: Any) -> bool:
    return tick is True or tick == "true"


def _to_text(value: Any) -> str:
    return "" if value is None else str(value)
