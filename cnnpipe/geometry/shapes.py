"""The shapes of VIA 1, 2 and 3 as records, and what each becomes: an outline and a tight box."""

import math
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe.geometry.boxes import Box

_CURVE_POINTS = 72  # vertices of the polygon that stands for a circle or an ellipse, as in VIA 2.0.10

# checked where a shape is decoded, not where it is made
Size = Annotated[float, msgspec.Meta(ge=0)]


class Rect(msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="rect", forbid_unknown_fields=True):
    """Top left corner and size, pixels."""

    x: float
    y: float
    width: Size
    height: Size


class Circle(
    msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="circle", forbid_unknown_fields=True
):
    """Centre and radius, pixels."""

    cx: float
    cy: float
    r: Size


class Ellipse(
    msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="ellipse", forbid_unknown_fields=True
):
    """Centre and radii, pixels; `theta` radians, clockwise on screen, the angle of the rx axis."""

    cx: float
    cy: float
    rx: Size
    ry: Size
    theta: float = 0.0  # absent in VIA before 2.0.8


class Polygon(
    msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="polygon", forbid_unknown_fields=True
):
    """Closed outline; the first point is not repeated at the end."""

    all_points_x: tuple[float, ...]
    all_points_y: tuple[float, ...]


class Polyline(
    msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="polyline", forbid_unknown_fields=True
):
    """Open line; annotators use it for outlines, too."""

    all_points_x: tuple[float, ...]
    all_points_y: tuple[float, ...]


class Point(msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="point", forbid_unknown_fields=True):
    """One position, without extent."""

    cx: float
    cy: float


class Line(msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="line"):
    """Straight line between two positions, without extent; VIA 3 only."""

    x1: float
    y1: float
    x2: float
    y2: float


class ExtremeRect(msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="extreme_rect"):
    """Rectangle around four marked points, one on each side of an object; VIA 3 only."""

    all_points_x: tuple[float, ...]
    all_points_y: tuple[float, ...]


class ExtremeCircle(msgspec.Struct, frozen=True, gc=False, tag_field="name", tag="extreme_circle"):
    """Circle through three marked points on its rim; VIA 3 only."""

    all_points_x: tuple[float, ...]
    all_points_y: tuple[float, ...]


PlainShape = Rect | Circle | Ellipse | Polygon | Polyline | Point  # the six of VIA 1 and 2
Shape = PlainShape | Line | ExtremeRect | ExtremeCircle


def to_plain(shape: Shape) -> PlainShape | None:
    """Return the shape of VIA 1 and 2 that covers the same; None: three points of a circle on one line.

    A line becomes a polyline, an extreme rectangle the rectangle around its points, an extreme circle
    the circle through them.

    Source: via-3.x.y/src/js/_via_file_annotator.js (3.0.10), `_extreme_to_rshape`.
    """
    match shape:
        case Line(x1, y1, x2, y2):
            return Polyline((x1, x2), (y1, y2))
        case ExtremeRect(xs, ys):
            return Rect(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        case ExtremeCircle():
            return _circle_through(shape)
        case _:
            return shape


def shape_to_outline(shape: Shape) -> NDArray[np.float64] | None:
    """Return the closed outline (N, 2) of a shape, xy pixels; None for a point or a bare line.

    A polyline counts as an outline when it has three points or more; whether it may is the
    caller's choice. Not clipped: VIA lets a shape leave the picture.

    Source: VIA 2.0.10, src/via.js, `via_region_shape_to_coco_annotation`; the ellipse turns by
    theta as in VIA's own drawing (x right, y down).
    """
    match to_plain(shape):
        case Rect(x, y, width, height):
            return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
        case Circle(cx, cy, r):
            return _ellipse_outline(Ellipse(cx, cy, r, r))
        case Ellipse() as ellipse:
            return _ellipse_outline(ellipse)
        case Polygon(xs, ys) | Polyline(xs, ys):
            return np.array([xs, ys], dtype=np.float64).T if len(xs) >= 3 else None
        case _:
            return None


def shape_to_box(shape: Shape) -> Box | None:
    """Return the tight box around a shape, xyxy pixels, not clipped; None where it has no area.

    A circle or an ellipse gets its exact box, not that of the polygon that stands for it. Plain
    arithmetic, for files hold a million regions.

    Source: an ellipse turned by theta reaches hypot(rx cos theta, ry sin theta) from its centre in
    x, and hypot(rx sin theta, ry cos theta) in y: the amplitude of its outline in each.
    """
    try:
        match to_plain(shape):
            case Rect(x, y, width, height):
                return Box(x, y, x + width, y + height)
            case Circle(cx, cy, r):
                return Box(cx - r, cy - r, cx + r, cy + r)
            case Ellipse(cx, cy, rx, ry, theta):
                half_width = math.hypot(rx * math.cos(theta), ry * math.sin(theta))
                half_height = math.hypot(rx * math.sin(theta), ry * math.cos(theta))
                return Box(cx - half_width, cy - half_height, cx + half_width, cy + half_height)
            case Polygon(xs, ys) | Polyline(xs, ys):
                return Box.around(xs, ys) if len(xs) >= 3 else None
    except ValueError:  # a size of 0, or all points on one line
        pass
    return None


def _circle_through(shape: ExtremeCircle) -> Circle | None:
    """Return the circumscribed circle, by the perpendicular bisectors, with the first point as origin."""
    (x0, x1, x2), (y0, y1, y2) = shape.all_points_x, shape.all_points_y
    bx, by, cx, cy = x1 - x0, y1 - y0, x2 - x0, y2 - y0
    twice_area = bx * cy - by * cx
    if twice_area == 0:
        return None
    b2, c2 = bx * bx + by * by, cx * cx + cy * cy
    x, y = (cy * b2 - by * c2) / (2 * twice_area), (bx * c2 - cx * b2) / (2 * twice_area)
    radius = math.hypot(x, y)
    return Circle(x0 + x, y0 + y, radius) if math.isfinite(radius) else None


def _ellipse_outline(shape: Ellipse) -> NDArray[np.float64]:
    angle = np.linspace(0.0, 2.0 * np.pi, _CURVE_POINTS, endpoint=False)
    along, across = shape.rx * np.cos(angle), shape.ry * np.sin(angle)
    cos, sin = np.cos(shape.theta), np.sin(shape.theta)
    return np.stack([shape.cx + along * cos - across * sin, shape.cy + along * sin + across * cos], axis=1)
