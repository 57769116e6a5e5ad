"""Write COCO: for the tools that read COCO, and in the narrower form that VIA 2 can import.

Source: cocodataset.org/#format-data (object detection); via-2.x.y/src/via.js (2.0.11),
`import_coco_annotations_from_json` and `polygon_to_bbox`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.labelled_shapes import (
    LabelledShape,
    Outline,
    Sizes,
    classes_in,
    drawn_as_loss,
    labelled_shapes,
    picture_losses,
)
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile
from cnnpipe.formats.via.written_values import js_number
from cnnpipe.geometry.shapes import Polygon, Polyline

_INFO: Final = {"description": "annotations converted by cnnpipe", "version": "1.0"}
_UNKNOWN: Final = (-1, -1)  # what VIA 2 writes for a picture that it could not load


class CocoForm(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between COCO for everyone and COCO for VIA."""

    needs_sizes: bool
    # VIA takes 8 numbers whose box is `bbox` for a rect, so a polygon of four corners is closed
    closes_quadrilaterals: bool


FOR_EVERYONE: Final = CocoForm(needs_sizes=True, closes_quadrilaterals=False)
FOR_VIA: Final = CocoForm(needs_sizes=False, closes_quadrilaterals=True)


def write_coco(
    file: ViaFile, labelling: Labelling, sizes: Sizes, *, polyline_as_outline: bool, form: CocoForm
) -> tuple[bytes, list[Loss]]:
    """Return the COCO file, and what it cannot hold.

    Ids count from 1; categories are sorted by name, and their supercategory is the attribute that holds the
    class: VIA makes that the name of its attribute. A region has an annotation for each of its labels.

    Raises:
        AnnotationError: the size of a picture is not known, and COCO for everyone needs it.
    """
    if form.needs_sizes:
        sizes.required(file, without_regions=True)
    losses = picture_losses(file)
    pictures: list[list[LabelledShape]] = []
    for entry in file.entries:
        shapes, lost = labelled_shapes(entry, labelling, polyline_as_outline=polyline_as_outline)
        pictures.append(shapes)
        losses += [*lost, *(loss for shape in shapes for loss in drawn_as_loss(shape, entry.filename))]
    classes = classes_in([shape for shapes in pictures for shape in shapes])
    supercategory = labelling.attribute or ""
    parts = {
        "info": msgspec.json.encode(_INFO),
        "licenses": b"[]",
        "categories": msgspec.json.encode(
            [
                {"id": number, "name": label, "supercategory": supercategory}
                for number, label in enumerate(classes, start=1)
            ]
        ),
        "images": _array(_images(file.entries, sizes)),
        "annotations": _array(_annotations(pictures, classes, form)),
    }
    content = b"{" + b",".join(b'"%b":%b' % (name.encode(), part) for name, part in parts.items()) + b"}"
    return content, [*losses, *_unknown_sizes(file.entries, sizes)]


def shoelace_area(outline: Outline) -> float:
    """Return the area inside a closed outline, in square pixels.

    Source: the shoelace formula, with the first corner as origin, for corners far from the origin of the
    picture would cancel each other.
    """
    x0, y0 = outline[0]
    corners = [(x - x0, y - y0) for x, y in outline]
    following = [*corners[1:], corners[0]]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(corners, following, strict=True))) / 2


def _array(values: Iterator[dict[str, Any]]) -> bytes:
    return b"[" + b",".join(map(msgspec.json.encode, values)) + b"]"


def _images(entries: Sequence[ViaEntry], sizes: Sizes) -> Iterator[dict[str, Any]]:
    for number, (entry, size) in enumerate(zip(entries, sizes.of_entries, strict=True), start=1):
        width, height = size or _UNKNOWN
        yield {"id": number, "file_name": entry.filename, "width": width, "height": height}


def _annotations(
    pictures: Sequence[Sequence[LabelledShape]], classes: Sequence[str], form: CocoForm
) -> Iterator[dict[str, Any]]:
    category_ids = {label: number for number, label in enumerate(classes, start=1)}
    annotation_id = 0
    for image_id, shapes in enumerate(pictures, start=1):
        for shape in shapes:
            annotation_id += 1
            yield {
                "id": annotation_id,
                "image_id": image_id,
                "category_id": category_ids[shape.label],
                **_geometry(shape, form),
                "iscrowd": 0,
            }


def _geometry(shape: LabelledShape, form: CocoForm) -> dict[str, Any]:
    outline = shape.outline
    closing = outline[:1] if form.closes_quadrilaterals and _looks_like_a_rect(shape, outline) else ()
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    x, y = min(xs), min(ys)
    return {
        "segmentation": [[each for corner in (*outline, *closing) for each in corner]],
        "area": js_number(shoelace_area(outline)),
        # as VIA computes it from the corners, to the last digit
        "bbox": [x, y, js_number(max(xs) - x), js_number(max(ys) - y)],
    }


def _looks_like_a_rect(shape: LabelledShape, outline: Outline) -> bool:
    return len(outline) == 4 and isinstance(shape.shape, Polygon | Polyline)


def _unknown_sizes(entries: Sequence[ViaEntry], sizes: Sizes) -> Iterator[Loss]:
    for entry, size in zip(entries, sizes.of_entries, strict=True):
        if size is None:
            what = "size of the picture in pixels, which is not known: -1 is written"
            yield Loss(what=what, where=entry.filename)
