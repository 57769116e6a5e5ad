"""Regions of VIA 1 (an object) and VIA 2 (a list) to shapes; what cannot be one is a finding.

Numbers may be strings, VIA 1 closes its polygons, and VIA checks nothing when it imports.

Source: `shape_attributes` of via-2.x.y/src/via.js (2.0.11) and via-1.x.y/via.js (1.0.6).
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import ViaRegion
from cnnpipe.geometry.shapes import Circle, Ellipse, PlainShape, Point, Polygon, Polyline, Rect, Shape

_FIX: Final = "draw the region again in VIA, or delete it there"
_NAMES: Final = ("rect", "circle", "ellipse", "polygon", "polyline", "point")
_KINDS: Final = dict(zip(_NAMES, (Rect, Circle, Ellipse, Polygon, Polyline, Point), strict=True))
Item = TypeVar("Item")


def parse_regions(regions: Any, *, where: str) -> tuple[tuple[ViaRegion, ...], tuple[Finding, ...]]:
    """Return the usable regions of one entry, and a finding for each of the others.

    Args:
        regions: the value of `regions`: an object, a list, or nothing at all.
        where: the picture, for the findings.
    """
    if not isinstance(regions, dict | list | None):
        what = f"`regions` is {_kind_of(regions)}, not a list of regions"
        return (), (found("region-unreadable", where, what, _FIX),)
    parsed, findings = [], []
    for number, value in enumerate(in_order(regions or [])):
        try:
            parsed.append(_parse_region(number, value))
        except ValueError as error:
            findings.append(found("region-unreadable", where, str(error), _FIX, region=number))
    return tuple(parsed), tuple(findings)


def parse_attributes(value: Any) -> dict[str, Any]:
    """Return shape, region or file attributes; an empty list (as PHP writes) and null count as none.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, dict):
        return value
    if value in (None, [], ""):
        return {}
    raise ValueError(f"its attributes are {_kind_of(value)}, not an object")


def parse_shape(value: Mapping[str, Any]) -> Shape:
    """Return the shape that `shape_attributes` describe; a repeated end point is dropped.

    Raises:
        ValueError: unknown name, a missing field, no number, not finite, a negative size, or
            lists of unequal length.
    """
    known = _fields(value.get("name"))
    fields = {name: value[name] for name in value if name in known} if known else value
    try:
        shape: PlainShape = msgspec.convert(fields, PlainShape, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(value, str(error))) from error
    if isinstance(shape, Polygon | Polyline):
        return _check_points(shape)
    if not all(map(math.isfinite, msgspec.structs.astuple(shape))):
        raise ValueError("a coordinate is not finite")
    return shape


def in_order(regions: Mapping[str, Item] | Sequence[Item]) -> Sequence[Item]:
    """Return the regions of VIA 1 by their keys as numbers: hand edits leave gaps and disorder."""
    if isinstance(regions, Mapping):
        return [regions[key] for key in sorted(regions, key=_numeric)]
    return regions


def unknown_fields(region: Any) -> list[str]:
    """Return the names of what a region holds beside what VIA writes; it is not kept."""
    if not isinstance(region, dict):
        return []
    names = [name for name in region if name not in ("shape_attributes", "region_attributes")]
    shape = region.get("shape_attributes")
    known = _fields(shape.get("name")) if isinstance(shape, dict) else None
    return names + [name for name in shape if name not in known] if known and shape else names


def open_outline(shape: Polygon | Polyline) -> Polygon | Polyline:
    """Return the shape without the end point that VIA 1 repeats to close a polygon.

    Raises:
        ValueError: it has not as many x as y.
    """
    xs, ys = shape.all_points_x, shape.all_points_y
    if len(xs) != len(ys):
        raise ValueError(f"it has {len(xs)} x and {len(ys)} y")
    is_closed = isinstance(shape, Polygon) and len(xs) > 1 and xs[0] == xs[-1] and ys[0] == ys[-1]
    return Polygon(xs[:-1], ys[:-1]) if is_closed else shape


def _numeric(key: str) -> tuple[int, int]:
    # other keys come last and keep their order, for the sort is stable
    return (0, int(key)) if re.fullmatch("[0-9]{1,18}", key) else (1, 0)


def _fields(name: Any) -> frozenset[str] | None:
    kind = _KINDS.get(name) if isinstance(name, str) else None
    return None if kind is None else frozenset({"name", *kind.__struct_fields__})


def _parse_region(number: int, value: Any) -> ViaRegion:
    if not isinstance(value, dict):
        raise ValueError(f"the region is {_kind_of(value)}, not an object")  # noqa: TRY004 (one error for all faults)
    shape = parse_attributes(value.get("shape_attributes"))
    return ViaRegion(
        number=number,
        shape=parse_shape(shape) if shape else None,
        attributes=parse_attributes(value.get("region_attributes")),
    )


def _explain(value: Mapping[str, Any], error: str) -> str:
    name = value.get("name")
    if name not in _NAMES:
        return f"its shape is called {name!r}; VIA knows {', '.join(_NAMES)}"
    missing = re.search("required field `(.*)`", error)
    if missing:
        return f"its {name} has no {missing[1]}"
    at = re.search(r"\$\.(\w+)", error)
    if at and ">= 0" in error:
        size = float(value[at[1]])
        return f"its size is negative: {size:g}" if math.isfinite(size) else "a coordinate is not finite"
    return f"{at[1] if at else 'a value'} of its {name} is not a number"


def _check_points(shape: Polygon | Polyline) -> Polygon | Polyline:
    if not (all(map(math.isfinite, shape.all_points_x)) and all(map(math.isfinite, shape.all_points_y))):
        raise ValueError("a coordinate is not finite")
    return open_outline(shape)


def _kind_of(value: Any) -> str:
    names = {
        "NoneType": "null",
        "dict": "an object",
        "list": "a list",
        "str": "a text",
        "bool": "true or false",
    }
    return names.get(type(value).__name__, "a number")
