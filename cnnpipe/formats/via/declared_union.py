"""The attributes that several VIA files declare, as one: the first file says what an attribute is."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import DeclaredAttribute, Part

Declared = Mapping[Part, Mapping[str, DeclaredAttribute]]

_PARTS: Final[tuple[Part, ...]] = ("region", "file")
_FIX: Final = "give it one type, and each option one description, in all files"


class DeclaredAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """The declared attributes of all files: data/ingested/attributes.json."""

    region: dict[str, DeclaredAttribute] = {}
    file: dict[str, DeclaredAttribute] = {}


def unite_declared(files: Iterable[tuple[str, Declared]]) -> tuple[DeclaredAttributes, list[Finding]]:
    """Return what the files declare together, and a finding for each attribute declared in two ways.

    Args:
        files: the name of each, as findings call it, and what it declares; the first ones count.
    """
    united: dict[Part, dict[str, DeclaredAttribute]] = {part: {} for part in _PARTS}
    findings: list[Finding] = []
    for where, declared in files:
        for part in _PARTS:
            for name, new in declared.get(part, {}).items():
                old = united[part].setdefault(name, new)
                findings += _conflicts(old, new, f"the {part} attribute {name!r}", where)
                united[part][name] = _joined(old, new)
    return DeclaredAttributes(region=united["region"], file=united["file"]), findings


def _joined(old: DeclaredAttribute, new: DeclaredAttribute) -> DeclaredAttribute:
    options = new.options | {option: seen for option, seen in old.options.items() if seen}
    options = {option: options.get(option, "") for option in (*old.options, *new.options)}
    defaults = new.default_options | old.default_options
    return msgspec.structs.replace(old, options=options, default_options=defaults)


def _conflicts(old: DeclaredAttribute, new: DeclaredAttribute, name: str, where: str) -> list[Finding]:
    findings = []
    if old.type != new.type:
        what = f"{name} is a {new.type}, but a {old.type} in a file before it; that counts"
        findings.append(found("attribute-conflict", where, what, _FIX))
    for option, seen in new.options.items():
        first = old.options.get(option)
        if seen and first and seen.strip() != first.strip():
            what = f"{name}: option {option!r} means {seen!r}, but {first!r} in a file before it; that counts"
            findings.append(found("attribute-conflict", where, what, _FIX))
    return findings
