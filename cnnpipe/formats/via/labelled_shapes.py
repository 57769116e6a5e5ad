"""Regions as COCO, YOLO and Pascal VOC take them: one label, an outline and a box each; the rest is lost."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.labelling import Labelling, labels_by
from cnnpipe.formats.via.losses import (
    NO_LABEL,
    NO_SHAPE,
    byte_size_loss,
    file_attributes_loss,
    file_losses,
    filled_names,
)
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile, ViaRegion
from cnnpipe.formats.via.written_entries import via_key
from cnnpipe.formats.via.written_values import js_number
from cnnpipe.geometry.boxes import Box, clip_box
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    ExtremeRect,
    Line,
    Point,
    Polyline,
    Rect,
    Shape,
    shape_to_box,
    shape_to_outline,
)

_LARGEST_AREA: Final = 1e200  # far below where sums of areas overflow
Outline = Sequence[tuple[float, float]]
_DRAWN_AS: Final[dict[type[Shape], str]] = {
    Circle: "circle, drawn as a polygon",
    Ellipse: "ellipse, drawn as a polygon",
    ExtremeCircle: "extreme circle, drawn as a polygon",
    ExtremeRect: "extreme rectangle, drawn as a rect",
    Polyline: "polyline, drawn as the outline it stands for",
}


class LabelledShape(msgspec.Struct, frozen=True, kw_only=True):
    """One region with one of its labels; pixels, not clipped."""

    region: ViaRegion
    label: str
    shape: Shape
    box: Box  # tight

    @property
    def outline(self) -> Outline:
        """The corners of the polygon that stands for the shape, the first not repeated."""
        outline = shape_to_outline(self.shape)
        return [] if outline is None else [(js_number(x), js_number(y)) for x, y in outline.tolist()]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Width and height of the pictures in pixels, upright, in the order of the entries; None: not known."""

    of_entries: Sequence[tuple[int, int] | None]

    def required(self, file: ViaFile, *, without_regions: bool) -> None:
        """Check that the size of every picture is known.

        Args:
            file: whose entries they are.
            without_regions: whether it must be for a picture that has no region.

        Raises:
            AnnotationError: it is not; it names the pictures.
        """
        missing = [
            entry.filename
            for entry, size in zip(file.entries, self.of_entries, strict=True)
            if size is None and (without_regions or entry.regions)
        ]
        if missing:
            others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            names = ", ".join(missing[:3])
            what = f"the file does not say how many pixels wide and high the picture is{others}"
            fix = "give the folder of the pictures with --images, so that they can be measured"
            raise AnnotationError(names, what, fix)


def labelled_shapes(
    entry: ViaEntry, labelling: Labelling, *, polyline_as_outline: bool, held: Collection[str] = ()
) -> tuple[list[LabelledShape], list[Loss]]:
    """Return the regions that have a label and an area, once for each label, and what is lost of the others.

    Args:
        entry: the picture.
        labelling: what the class of a region is.
        polyline_as_outline: whether a line of three points or more counts as an outline.
        held: names of attributes that the format has a place for, besides the class.
    """
    shapes: list[LabelledShape] = []
    losses: list[Loss] = []
    for region in entry.regions:
        found, lost = _of_region(region, labelling, polyline_as_outline=polyline_as_outline)
        shapes += found
        losses += [Loss(what=what, where=entry.filename, region=region.number) for what in lost]
        others = filled_names(region.attributes, leave_out=(labelling.attribute or "", *held))
        if found and others:
            what = "attributes of a region besides its class"
            detail = ", ".join(others)
            losses.append(Loss(what=what, where=entry.filename, region=region.number, detail=detail))
    return shapes, losses


def classes_in(shapes: Iterable[LabelledShape]) -> list[str]:
    """Return the labels, sorted: their order is that of the numbers that stand for them."""
    return sorted({shape.label for shape in shapes})


def drawn_as_loss(shape: LabelledShape, where: str) -> Iterator[Loss]:
    """Yield what a polygon does not say of the shape it stands for."""
    what = _DRAWN_AS.get(type(shape.shape))
    if what is not None:
        yield Loss(what=what, where=where, region=shape.region.number)


def only_box_loss(shape: LabelledShape, where: str) -> Iterator[Loss]:
    """Yield what a box does not say of the shape it is drawn around."""
    if not isinstance(shape.shape, Rect):
        what = "outline of a region, of which the box is kept"
        detail = str(type(shape.shape).__struct_config__.tag)
        yield Loss(what=what, where=where, region=shape.region.number, detail=detail)


def clipped(shape: LabelledShape, size: tuple[int, int], where: str) -> tuple[Box | None, list[Loss]]:
    """Return the part of the box inside the picture, or None, and what is lost outside."""
    width, height = size
    box = clip_box(shape.box, width=width, height=height)
    if box == shape.box:
        return box, []
    what = "region outside the picture" if box is None else "part of a box outside the picture"
    return box, [Loss(what=what, where=where, region=shape.region.number)]


def picture_losses(file: ViaFile) -> list[Loss]:
    """Return what none of these formats holds of the file and of its pictures."""
    opaque = sum(entry.key != via_key(entry) for entry in file.entries)
    keys = Loss(what="keys that are not file name and size", where="", detail=f"{opaque} pictures")
    return [
        *file_losses(file),
        *([keys] if opaque else []),
        *(loss for entry in file.entries for loss in (*file_attributes_loss(entry), *byte_size_loss(entry))),
    ]


def _of_region(
    region: ViaRegion, labelling: Labelling, *, polyline_as_outline: bool
) -> tuple[list[LabelledShape], list[str]]:
    if region.shape is None:
        return [], [NO_SHAPE]
    reason = _why_no_outline(region.shape, polyline_as_outline=polyline_as_outline)
    if reason:
        return [], [reason]
    box = shape_to_box(region.shape)
    if box is None:
        return [], ["region without an area"]
    if box.area > _LARGEST_AREA:
        return [], ["region too large to be measured"]
    labels = labels_by(labelling, region.attributes)
    if not labels:
        return [], [NO_LABEL]
    shapes = [LabelledShape(region=region, label=label, shape=region.shape, box=box) for label in labels]
    return shapes, ["region with several labels, written once for each"] if len(labels) > 1 else []


def _why_no_outline(shape: Shape, *, polyline_as_outline: bool) -> str:
    match shape:
        case Point():
            return "point, which has no area"
        case Line():
            return "line, which has no area"
        case Polyline() if not polyline_as_outline:
            return "polyline, which is no outline"
        case _:
            return ""
