"""Declarations for attributes that regions and pictures hold but no one declared."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cnnpipe.formats.via.records import DeclaredAttribute, Part, ViaFile
from cnnpipe.formats.via.review import SCORE_ATTRIBUTE
from cnnpipe.formats.via.written_values import is_filled_in

_MOST_OPTIONS: Final = 30  # a list of more is no help to whoever draws
_USES_PER_OPTION: Final = 2  # on average; a text that mostly stands once is free text


def declare_met(file: ViaFile) -> Mapping[Part, Mapping[str, DeclaredAttribute]]:
    """Return what the file declares, and behind it a declaration for every other attribute it holds.

    The rule, of the values that are filled in: all are objects, it is a checkbox, and their keys are its
    options; all are texts, at most 30 distinct ones that each stand twice or more on average, it is a
    dropdown with them for options; else it is a text.
    """
    of_regions = (region.attributes for entry in file.entries for region in entry.regions)
    of_files = (entry.file_attributes for entry in file.entries)
    return {
        "region": _with_met(file.attributes.get("region", {}), of_regions),
        "file": _with_met(file.attributes.get("file", {}), of_files),
    }


def _with_met(
    declared: Mapping[str, DeclaredAttribute], holders: Iterable[Mapping[str, Any]]
) -> dict[str, DeclaredAttribute]:
    met: dict[str, list[Any]] = {}
    for holder in holders:
        for name, value in holder.items():
            if name not in declared:
                met.setdefault(name, []).append(value)
    return {**declared, **{name: _declaration(name, values) for name, values in met.items()}}


def _declaration(name: str, values: list[Any]) -> DeclaredAttribute:
    filled = [value for value in values if is_filled_in(value)]
    if filled and all(isinstance(value, Mapping) for value in filled):
        options = dict.fromkeys(key for value in filled for key in value)
        return DeclaredAttribute(type="checkbox", options={key: key for key in options})
    if name != SCORE_ATTRIBUTE and filled and all(isinstance(value, str) for value in filled):
        distinct = sorted(set(filled))
        if len(distinct) <= min(_MOST_OPTIONS, len(filled) // _USES_PER_OPTION):
            return DeclaredAttribute(type="dropdown", options={key: key for key in distinct})
    return DeclaredAttribute(type="text", options={})
