"""Shapes and attribute values as VIA 3 writes them.

Source: via-3.x.y/src/js/_via_metadata.js (`_VIA_RSHAPE`) and _via_file_annotator.js (`_metadata_on_change`),
3.0.10.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.written_values import js_numbers, plain_value, shape_value
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    ExtremeRect,
    Line,
    Point,
    Polygon,
    Polyline,
    Rect,
    Shape,
    shape_to_outline,
)

_IDS: Final[dict[type[Shape], int]] = {
    Point: 1,
    Rect: 2,
    Circle: 3,
    Ellipse: 4,
    Line: 5,
    Polyline: 6,
    Polygon: 7,
    ExtremeRect: 8,
    ExtremeCircle: 9,
}
_NUM_VALUES: Final[dict[type[Shape], int]] = {Point: 2, Rect: 4, Circle: 3, Ellipse: 4}  # no theta


def via3_shape(shape: Shape) -> tuple[list[float], str]:
    """Return `xy`, the number of the shape and its numbers, and what is lost so ("": nothing).

    Raises:
        ValueError: no VIA could draw it.
    """
    lost = ""
    if isinstance(shape, Ellipse) and shape.theta != 0:
        shape, lost = _unturned(shape)
    match shape:
        case ExtremeRect(xs, ys) | ExtremeCircle(xs, ys):
            values: Sequence[float] = _alternating(xs, ys)
        case Polygon() | Polyline():
            points = shape_value(shape, closed=False)
            values = _alternating(points["all_points_x"], points["all_points_y"])
        case Line():
            values = msgspec.structs.astuple(shape)
        case _:
            shape_value(shape, closed=False)  # for its checks
            values = msgspec.structs.astuple(shape)[: _NUM_VALUES[type(shape)]]
    return [_IDS[type(shape)], *js_numbers(values)], lost


def via3_value(value: Any, kind: str) -> tuple[str, str]:
    """Return an attribute's value as VIA 3 holds it, always a text, and what is lost so ("": nothing).

    The ticked options of a checkbox are joined by commas.

    Args:
        value: as VIA 2 holds it.
        kind: the type of the attribute.
    """
    if isinstance(value, Mapping):
        return _ticked(value, kind)
    if isinstance(value, str):
        is_list = kind == "checkbox" and value != ""
        return value, "text in a checkbox, taken as its options" if is_list else ""
    if value is None:
        return "", "null, which becomes an empty text"
    return _json_text(value), "value that is no text, and becomes one"


def _alternating(xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    return [each for point in zip(xs, ys, strict=True) for each in point]


def _ticked(value: Mapping[str, Any], kind: str) -> tuple[str, str]:
    options = [option for option, tick in value.items() if tick is True]
    text = ",".join(options)
    if kind != "checkbox":
        return text, "options of a checkbox in another attribute, which become a text"
    if not all(option and option == option.strip() and "," not in option for option in options):
        return text, "option without a name, or with a comma in it or blanks around it"
    return text, "" if len(options) == len(value) else "option that is noted as not ticked"


def _json_text(value: Any) -> str:
    return msgspec.json.encode(plain_value(value)).decode()


def _unturned(shape: Ellipse) -> tuple[Shape, str]:
    """Return what VIA 3 can draw of an ellipse that is turned."""
    if shape.rx == shape.ry:
        return Ellipse(shape.cx, shape.cy, shape.rx, shape.ry), "turn of an ellipse that is a circle"
    outline = shape_to_outline(shape)
    xs, ys = ([], []) if outline is None else (outline[:, 0].tolist(), outline[:, 1].tolist())
    return Polygon(tuple(xs), tuple(ys)), "turned ellipse, drawn as a polygon"
