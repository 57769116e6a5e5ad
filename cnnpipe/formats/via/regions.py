"""Regions of VIA 1 (an object) and VIA 2 (a list) to shapes; what cannot be one is a finding.

Numbers may be strings, VIA 1 closes its polygons, and VIA checks nothing when it imports.

Source: `shape_attributes` of via-2.x.y/src/via.js (2.0.11) and via-1.x.y/via.js (1.0.6).
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import ViaRegion
from cnnpipe.geometry.shapes import Ellipse, Polygon, Polyline, Rect, Shape

_FIX: Final = "draw the region again in VIA, or delete it there"
_NAMES: Final = ("rect", "circle", "ellipse", "polygon", "polyline", "point")


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
    for number, value in enumerate(_in_order(regions or [])):
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
    try:
        shape: Shape = msgspec.convert(value, Shape, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(value, str(error))) from error
    if isinstance(shape, Polygon | Polyline):
        return _check_points(shape)
    values = msgspec.structs.astuple(shape)
    if not all(map(math.isfinite, values)):
        raise ValueError("a coordinate is not finite")
    sizes = values[2:4] if isinstance(shape, Rect | Ellipse) else values[2:3]  # a point has none
    if any(size < 0 for size in sizes):
        raise ValueError(f"its size is negative: {min(sizes):g}")
    return shape


def _in_order(regions: Mapping[str, Any] | list[Any]) -> Iterable[Any]:
    """Yield the regions of VIA 1 by their keys as numbers: hand edits leave gaps and disorder."""
    if isinstance(regions, list):
        return regions
    return [regions[key] for key in sorted(regions, key=_numeric)]


def _numeric(key: str) -> tuple[int, int]:
    # other keys come last and keep their order, for the sort is stable
    return (0, int(key)) if re.fullmatch("[0-9]{1,18}", key) else (1, 0)


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
    return f"{at[1] if at else 'a value'} of its {name} is not a number"


def _check_points(shape: Polygon | Polyline) -> Polygon | Polyline:
    xs, ys = shape.all_points_x, shape.all_points_y
    if len(xs) != len(ys):
        raise ValueError(f"it has {len(xs)} x and {len(ys)} y")
    if not (all(map(math.isfinite, xs)) and all(map(math.isfinite, ys))):
        raise ValueError("a coordinate is not finite")
    is_closed = isinstance(shape, Polygon) and len(xs) > 1 and xs[0] == xs[-1] and ys[0] == ys[-1]
    return Polygon(xs[:-1], ys[:-1]) if is_closed else shape


def _kind_of(value: Any) -> str:
    names = {
        "NoneType": "null",
        "dict": "an object",
        "list": "a list",
        "str": "a text",
        "bool": "true or false",
    }
    return names.get(type(value).__name__, "a number")
