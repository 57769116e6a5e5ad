"""The categories of a COCO file as one attribute of regions, with the label that each id stands for.

Source: `export_project_to_coco_format` of via-2.x.y/src/via.js (2.0.10 and 2.0.11), `pack_via_metadata` of
2.0.8 and 2.0.9.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import DeclaredAttribute

_NONE: Final = frozenset({"", "none", "undefined", "null"})  # what tools write for no supercategory
_FIX: Final = "read the project or the annotations JSON instead, or correct `categories`"


class Categories(msgspec.Struct, frozen=True, kw_only=True):
    """What the category ids of a file mean."""

    attribute: str  # of regions
    labels: Mapping[str, str]  # by id as text; ids of several categories are left out
    ambiguous: Mapping[str, Sequence[str]]  # id to the labels that it may stand for
    declared: DeclaredAttribute
    findings: tuple[Finding, ...]


class _Category(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    label: str
    supercategory: str
    is_named: bool


def parse_categories(value: Any, *, where: str) -> Categories:
    """Return what `categories` hold.

    The attribute is called by the supercategory if all share one, else `class`. A label is the name of its
    category; without one it is the id. VIA 2.0.9 repeats the categories once per picture; VIA 2.0.10 to
    2.0.12 can give them all the id null: only a single one can be told by it.
    """
    items = value if isinstance(value, list) else []
    categories = list(dict.fromkeys(_parse(item) for item in items if isinstance(item, Mapping)))
    supercategories = {category.supercategory for category in categories}
    labels: dict[str, list[str]] = {}
    for category in categories:
        labels.setdefault(category.id, []).append(category.label)
    options = {category.label: category.label for category in categories}
    return Categories(
        attribute=supercategories.pop()
        if len(supercategories) == 1 and "" not in supercategories
        else "class",
        labels={key: each[0] for key, each in labels.items() if len(each) == 1},
        ambiguous={key: each for key, each in labels.items() if len(each) > 1},
        declared=DeclaredAttribute(type="dropdown", options=options),
        findings=tuple(_notice(value, categories, where)),
    )


def key_of(value: Any) -> str | None:
    """Return an id of COCO as text, whether a file spells it 1, 1.0 or "1"; None: it is missing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool | list | dict):
        return None
    text = "null" if value is None else str(value).strip()
    return text or None


def _parse(item: Mapping[str, Any]) -> _Category:
    name, supercategory = _to_text(item.get("name")), _to_text(item.get("supercategory"))
    key = key_of(item.get("id")) or "null"
    return _Category(
        id=key,
        label=name or key,
        supercategory="" if supercategory.lower() in _NONE else supercategory,
        is_named=bool(name),
    )


def _to_text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _notice(value: Any, categories: Sequence[_Category], where: str) -> Iterator[Finding]:
    if not isinstance(value, list | None):
        yield found("file-repaired", where, "`categories` is not a list; no region has a class", _FIX)
    elif len(categories) < len(value or ()):
        what = f"of {len(value or ())} categories {len(categories)} are left: others repeat them, or are none"
        yield found("file-repaired", where, what, "nothing to do: VIA 2.0.9 repeats them for each picture")
    nameless = [category.id for category in categories if not category.is_named]
    if nameless:
        what = f"categories have no name, and are called by their id: {_few(nameless)}"
        yield found("file-repaired", where, what, _FIX)
    for label, times in Counter(category.label for category in categories).items():
        if times > 1:
            what = f"{times} categories are called {label!r}; their regions get the same label"
            yield found("attribute-conflict", where, what, _FIX)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
