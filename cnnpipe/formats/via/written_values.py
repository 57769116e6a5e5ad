"""Numbers, values and shapes as VIA 1 and 2 write them: what JavaScript makes of them, and nothing it cannot.

Source: via-2.x.y/src/via.js (2.0.11), `_via_reg_canvas_mouseup_handler` and
`_via_polyshape_add_new_polyshape`; via-1.x.y/via.js (1.0.6), which closes its polygons.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.errors import DataError
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    ExtremeRect,
    Line,
    PlainShape,
    Point,
    Polygon,
    Polyline,
    Rect,
    Shape,
    to_plain,
)

_DRAWN_AS: Final[dict[type[Shape], str]] = {
    Line: "line, drawn as a polyline",
    ExtremeRect: "extreme rectangle, drawn as a rect",
    ExtremeCircle: "extreme circle, drawn as a circle",
}
_EXACT: Final = 2**53  # up to here every whole number is one of JavaScript's


def js_number(value: float) -> float:
    """Return the number as JavaScript writes it: 12 for 12.0.

    Raises:
        ValueError: it is not finite.
    """
    if not math.isfinite(value):
        raise ValueError("a coordinate is not finite")
    whole = int(value)
    return whole if whole == value and abs(whole) <= _EXACT else float(value)


def plain_value(value: Any) -> Any:
    """Return an attribute's value with its numbers as JavaScript writes them; what is not finite is null."""
    if isinstance(value, str | bool | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(each) for each in value]
    try:
        return js_number(value)
    except (ValueError, OverflowError):  # NaN, Infinity, an integer of 400 digits
        return None


def is_exact_value(value: Any) -> bool:
    """Whether JavaScript has every number in an attribute's value: finite, and no integer too long for it."""
    if isinstance(value, str | bool | None):
        return True
    if isinstance(value, Mapping):
        return all(map(is_exact_value, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_exact_value, value))
    try:
        return math.isfinite(value) and float(value) == value
    except OverflowError:
        return False


def is_filled_in(value: Any) -> bool:
    """Whether an attribute's value says anything: not null, "", {} or []."""
    return value is not None and value not in ("", {}, [])


def plain_shape(shape: Shape) -> tuple[PlainShape, str]:
    """Return the shape of VIA 1 and 2 that stands for one of VIA 3, and what is lost so ("": nothing)."""
    plain = to_plain(shape)
    if plain is not None:
        return plain, _DRAWN_AS.get(type(shape), "")
    points = shape if isinstance(shape, ExtremeCircle) else ExtremeCircle((), ())  # it is no other
    what = "extreme circle whose points lie on one line, drawn as a polyline"
    return Polyline(points.all_points_x, points.all_points_y), what


def shape_value(shape: PlainShape, *, closed: bool) -> dict[str, Any]:
    """Return `shape_attributes`.

    Args:
        shape: finite, its sizes not negative.
        closed: whether a polygon ends at its first point, as in VIA 1. One that ends there of itself ends
            there once more, for a reader drops one end point.

    Raises:
        ValueError: no VIA could draw it.
    """
    match shape:
        case Polygon(xs, ys) | Polyline(xs, ys):
            if len(xs) != len(ys):
                raise ValueError(f"it has {len(xs)} x and {len(ys)} y")
            again = 1 if isinstance(shape, Polygon) and (closed or _ends_at_its_start(xs, ys)) else 0
            return {
                "name": "polygon" if isinstance(shape, Polygon) else "polyline",
                "all_points_x": js_numbers([*xs, *xs[:again]]),
                "all_points_y": js_numbers([*ys, *ys[:again]]),
            }
        case Rect(_, _, first, second) | Ellipse(_, _, first, second):
            _check_size(min(first, second))
        case Circle(_, _, r):
            _check_size(r)
        case Point():
            pass
    return {
        name: value if name == "name" else js_number(value)
        for name, value in msgspec.to_builtins(shape).items()
    }


def js_numbers(values: Iterable[float]) -> list[float]:
    """Return the numbers as JavaScript writes them.

    Raises:
        ValueError: one is not finite.
    """
    return [js_number(value) for value in values]


def checked_shape_value(shape: Shape, *, closed: bool, where: str) -> tuple[dict[str, Any], str]:
    """Return `shape_attributes` and what is lost so, or an error that names the picture.

    Raises:
        DataError: no VIA could draw the shape.
    """
    try:
        plain, lost = plain_shape(shape)
        return shape_value(plain, closed=closed), lost
    except ValueError as error:
        raise DataError(where, f"a region cannot be written: {error}", "leave it out") from error


def _ends_at_its_start(xs: Sequence[float], ys: Sequence[float]) -> bool:
    return len(xs) > 1 and xs[0] == xs[-1] and ys[0] == ys[-1]


def _check_size(size: float) -> None:
    if size < 0:
        raise ValueError(f"its size is negative: {size:g}")
