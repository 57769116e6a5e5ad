"""The six shapes of VIA as records, and what each becomes: an outline and a tight box."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe.geometry.boxes import Box

_CURVE_POINTS = 72  # vertices of the polygon that stands for a circle or an ellipse, as in VIA 2.0.10


class Rect(msgspec.Struct, frozen=True, tag_field="name", tag="rect"):
    """Top left corner and size, pixels."""

    x: float
    y: float
    width: float
    height: float


class Circle(msgspec.Struct, frozen=True, tag_field="name", tag="circle"):
    """Centre and radius, pixels."""

    cx: float
    cy: float
    r: float


class Ellipse(msgspec.Struct, frozen=True, tag_field="name", tag="ellipse"):
    """Centre and radii, pixels; `theta` radians, clockwise on screen, the angle of the rx axis."""

    cx: float
    cy: float
    rx: float
    ry: float
    theta: float = 0.0  # absent in VIA before 2.0.8


class Polygon(msgspec.Struct, frozen=True, tag_field="name", tag="polygon"):
    """Closed outline; the first point is not repeated at the end."""

    all_points_x: tuple[float, ...]
    all_points_y: tuple[float, ...]


class Polyline(msgspec.Struct, frozen=True, tag_field="name", tag="polyline"):
    """Open line; annotators use it for outlines, too."""

    all_points_x: tuple[float, ...]
    all_points_y: tuple[float, ...]


class Point(msgspec.Struct, frozen=True, tag_field="name", tag="point"):
    """One position, without extent."""

    cx: float
    cy: float


Shape = Rect | Circle | Ellipse | Polygon | Polyline | Point


def shape_to_outline(shape: Shape) -> NDArray[np.float64] | None:
    """Return the closed outline (N, 2) of a shape, xy pixels; None for a point or a bare line.

    A polyline counts as an outline when it has three points or more; whether it may is the
    caller's choice. Not clipped: VIA lets a shape leave the picture.

    Source: VIA 2.0.10, src/via.js, `via_region_shape_to_coco_annotation`; the ellipse turns by
    theta as in VIA's own drawing (x right, y down).
    """
    match shape:
        case Rect(x, y, width, height):
            return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
        case Circle(cx, cy, r):
            return _ellipse_outline(Ellipse(cx, cy, r, r))
        case Ellipse():
            return _ellipse_outline(shape)
        case Polygon(xs, ys) | Polyline(xs, ys):
            return np.array([xs, ys], dtype=np.float64).T if len(xs) >= 3 else None
        case Point():
            return None


def shape_to_box(shape: Shape) -> Box | None:
    """Return the tight box around a shape, xyxy pixels, not clipped; None where it has no area.

    A circle or an ellipse gets its exact box, not that of the polygon that stands for it. Plain
    arithmetic, for files hold a million regions.

    Source: an ellipse turned by theta reaches hypot(rx cos theta, ry sin theta) from its centre in
    x, and hypot(rx sin theta, ry cos theta) in y: the amplitude of its outline in each.
    """
    try:
        match shape:
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
            case Point():
                return None
    except ValueError:  # a size of 0, or all points on one line
        return None


def _ellipse_outline(shape: Ellipse) -> NDArray[np.float64]:
    angle = np.linspace(0.0, 2.0 * np.pi, _CURVE_POINTS, endpoint=False)
    along, across = shape.rx * np.cos(angle), shape.ry * np.sin(angle)
    cos, sin = np.cos(shape.theta), np.sin(shape.theta)
    return np.stack([shape.cx + along * cos - across * sin, shape.cy + along * sin + across * cos], axis=1)
