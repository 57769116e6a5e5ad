"""The shape of one COCO annotation: a rectangle again where it was one, a box where VIA has no such shape.

Source: `via_region_shape_to_coco_annotation` and `import_coco_annotations_from_json` of
via-2.x.y/src/via.js (2.0.8 to 2.0.11); the data format of cocodataset.org, object detection.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import msgspec

from cnnpipe.formats.via.regions import parse_shape
from cnnpipe.geometry.shapes import Polygon, Rect, Shape

Repair = Literal["flat", "parts", "mask", "text"]  # what had to be done to get a shape
_CLOSE: Final = 1e-6  # pixels, relative to the largest: x + width is rounded


class CocoShape(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of one annotation."""

    shape: Shape
    repair: Repair | None = None


def parse_coco_shape(annotation: Mapping[str, Any]) -> CocoShape:
    """Return the shape of an annotation.

    One polygon is a polygon, or a rectangle if it is the box of the annotation; several polygons are one
    object in COCO, and VIA has no region of several parts, so they become the box around them; a mask
    (RLE) becomes its box; one keypoint without anything else is VIA's point.

    Raises:
        ValueError: it has neither an outline nor a box, or a number is none.
    """
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, Mapping):
        return CocoShape(shape=_box(annotation), repair="mask")
    outlines = _outlines(segmentation)
    if not outlines:
        return CocoShape(shape=_point(annotation) or _box(annotation))
    if len(outlines) > 1:
        return CocoShape(shape=_around(annotation, outlines), repair="parts")
    repair: Repair | None = "flat" if _is_flat(segmentation) else None
    if len(outlines[0]) == 8 and any(isinstance(number, str) for number in outlines[0]):
        # VIA keeps numbers that are texts, and then its x + width appends digits
        return CocoShape(shape=_box(annotation), repair="text")
    polygon = _polygon(outlines[0])
    return CocoShape(shape=_rect_again(polygon, annotation.get("bbox")) or polygon, repair=repair)


def _outlines(segmentation: Any) -> list[list[Any]]:
    """Return the lists of numbers; VIA 2.0.8 and 2.0.9 write one without the list around it."""
    if segmentation is None or segmentation == "":
        return []
    if not isinstance(segmentation, list):
        raise ValueError("its segmentation is not a list of polygons")  # noqa: TRY004 (one error for all faults)
    if _is_flat(segmentation):
        return [segmentation]
    if not all(isinstance(outline, list) for outline in segmentation):
        raise ValueError("its segmentation is not a list of polygons")
    return [outline for outline in segmentation if outline]


def _is_flat(segmentation: Any) -> bool:
    return isinstance(segmentation, list) and bool(segmentation) and not isinstance(segmentation[0], list)


def _polygon(numbers: list[Any]) -> Polygon:
    value = {"name": "polygon", "all_points_x": numbers[0::2], "all_points_y": numbers[1::2]}
    return cast("Polygon", parse_shape(value))


def _box(annotation: Mapping[str, Any]) -> Rect:
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError("it has neither an outline that VIA can hold nor a box of four numbers")
    return cast("Rect", parse_shape(dict(zip(("x", "y", "width", "height"), box, strict=True), name="rect")))


def _around(annotation: Mapping[str, Any], outlines: list[list[Any]]) -> Rect:
    if annotation.get("bbox"):
        return _box(annotation)
    polygons = [_polygon(outline) for outline in outlines]
    xs = [x for polygon in polygons for x in polygon.all_points_x]
    ys = [y for polygon in polygons for y in polygon.all_points_y]
    return Rect(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def _point(annotation: Mapping[str, Any]) -> Shape | None:
    keypoints = annotation.get("keypoints")
    if annotation.get("bbox") or not isinstance(keypoints, list) or len(keypoints) != 3:
        return None
    return parse_shape({"name": "point", "cx": keypoints[0], "cy": keypoints[1]})


def _rect_again(polygon: Polygon, box: Any) -> Rect | None:
    """Return the rectangle that a polygon of four corners was; None: it is not the box `box`."""
    xs, ys = polygon.all_points_x, polygon.all_points_y
    if len(xs) != 4 or not isinstance(box, list) or len(box) != 4:
        return None
    try:
        rect = _box({"bbox": box})
    except ValueError:
        return None  # the outline can be used without it
    corners = (min(xs), min(ys), max(xs), max(ys))
    stated = (rect.x, rect.y, rect.x + rect.width, rect.y + rect.height)
    if not all(map(_is_close, corners, stated)):
        return None
    sides = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    is_upright = all(x == next_x or y == next_y for x, y, next_x, next_y in sides)
    return rect if is_upright else None


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
