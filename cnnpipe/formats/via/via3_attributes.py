"""What VIA 3 declares of attributes, and their values as VIA 2 would hold them.

VIA 3 numbers its attributes; a record calls them by name. Its checkbox joins option ids by commas.

Source: via-3.x.y/src/js/_via_attribute.js, and `_metadata_on_change` of _via_file_annotator.js (3.0.10).
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import DeclaredAttribute, Part

_TYPES: Final[Mapping[str, str]] = {
    "1": "text",
    "2": "checkbox",
    "3": "radio",
    "4": "dropdown",
    "5": "image",
}
_ONE_OPTION: Final = ("radio", "dropdown", "image")
_OF_WHOLE_FILES: Final = "Z0_XY0"  # how the anchor of such an attribute ends


class Via3Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of one file."""

    names: Mapping[str, str]  # by number
    by_number: Mapping[str, DeclaredAttribute]
    declared: Mapping[Part, Mapping[str, DeclaredAttribute]]  # by name
    findings: tuple[Finding, ...]


def parse_via3_attributes(value: Any, *, where: str) -> Via3Attributes:
    """Return what `attribute` of a project, or the line `# ATTRIBUTE` of a CSV, declares.

    Of two attributes of one name in one part the second is called by name and number.
    """
    names: dict[str, str] = {}
    by_number: dict[str, DeclaredAttribute] = {}
    declared: dict[Part, dict[str, DeclaredAttribute]] = {"region": {}, "file": {}}
    findings = []
    for number, definition in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(definition, Mapping):
            continue
        plain = _to_text(definition.get("aname")) or number
        part: Part = "file" if str(definition.get("anchor_id")).endswith(_OF_WHOLE_FILES) else "region"
        name = f"{plain} ({number})" if plain in declared[part] else plain
        if name != plain:
            what = f"two attributes are called {plain!r}; the second is read as {name!r}"
            findings.append(found("attribute-conflict", where, what, "give them different names in VIA"))
        names[number] = name
        by_number[number] = declared[part][name] = _parse_definition(definition)
    return Via3Attributes(names=names, by_number=by_number, declared=declared, findings=tuple(findings))


def attributes_of(value: Any, attributes: Via3Attributes) -> dict[str, Any]:
    """Return the values of one region or picture, by the names of their attributes.

    Raises:
        ValueError: `value` is not an object.
    """
    if value in (None, "", []):
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("its attributes are not an object")  # noqa: TRY004 (one error for all faults)
    named: dict[str, Any] = {}
    for number, each in value.items():
        name = attributes.names.get(number, number)
        name = f"{name} ({number})" if name in named else name
        named[name] = _to_via2(each, attributes.by_number.get(number))
    return named


def _parse_definition(definition: Mapping[str, Any]) -> DeclaredAttribute:
    options = definition.get("options")
    seen = {key: _to_text(each) for key, each in options.items()} if isinstance(options, Mapping) else {}
    default = _to_text(definition.get("default_option_id"))
    kind = _TYPES.get(_to_text(definition.get("type")), "text")
    chosen = {} if kind == "text" else _ticked(default, seen)
    return DeclaredAttribute(
        type=kind,
        options=seen,
        description=_to_text(definition.get("desc")),
        default_options=chosen if isinstance(chosen, dict) else {},
        default_value=default if kind == "text" else "",
    )


def _to_via2(value: Any, declared: DeclaredAttribute | None) -> Any:
    if declared is None:
        return value
    if declared.type == "checkbox" and isinstance(value, str | int) and not isinstance(value, bool):
        return _ticked(str(value), declared.options)
    if declared.type in _ONE_OPTION and isinstance(value, int | float) and not isinstance(value, bool):
        return _to_text(value)
    return value


def _ticked(value: str, options: Mapping[str, str]) -> dict[str, bool] | str:
    """Return the options that are joined in a text; the text itself where it names none of them.

    Older projects, and those made in the timeline, hold free text there.
    """
    if not value.strip():
        return {}
    chosen = [value] if value in options else [each.strip() for each in value.split(",") if each.strip()]
    is_free_text = bool(options) and not any(each in options for each in chosen)
    return value if is_free_text else dict.fromkeys(chosen, True)


def _to_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int | float) else ""
