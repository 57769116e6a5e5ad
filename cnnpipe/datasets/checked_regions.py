"""Regions to objects: each passes the gate, or a finding says why it does not."""

from collections.abc import Iterable, Mapping

from cnnpipe.annotations import Finding, LabelledObject, Picture, Region, found
from cnnpipe.formats.via.labelling import Labelling, labels_by
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.geometry.boxes import Box, clip_box
from cnnpipe.geometry.shapes import Line, Point, Polyline, Shape, shape_to_box
from cnnpipe.params.validate import ValidateParams

_LABEL_FIX = "give it one value of the class in VIA, or delete the region"
_MISSING_FIX = f"{_LABEL_FIX}; or name a class for all such regions: validate.default_label"


_Seen = dict[tuple[str, Shape | None, str], int]  # image_id, shape, label: the first region that has them


class _RegionError(Exception):
    """A region is left out; the finding says why. Never leaves this module."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def check_regions(
    regions: Iterable[Region],
    pictures: Mapping[str, Picture],
    *,
    labelling: Labelling,
    params: ValidateParams,
) -> tuple[list[LabelledObject], list[Finding]]:
    """Return the objects that pass the gate, in the order of the regions, and why the others do not.

    Args:
        regions: as VIA holds them.
        pictures: those they are on, by image_id.
        labelling: how the class of a region is told from its attributes.
        params: section `validate`.
    """
    objects: list[LabelledObject] = []
    findings: list[Finding] = []
    seen: _Seen = {}
    for region in regions:
        try:
            labels = _labels(region, labelling, params)
            shape, box = _shape_and_box(region, params)
            labels, repeated = _take_new(region, labels, seen)
            findings += repeated
            kept = _clip(region, box, pictures[region.image_id], params.min_side_px) if labels else box
        except _RegionError as refused:
            findings.append(refused.finding)
            continue
        if kept != box:
            findings.append(
                _about(region, "box-clipped", "reaches beyond the picture; clipped", "nothing to do")
            )
        objects += (_to_object(region, label, kept, shape) for label in labels)
    return objects, findings


def _labels(region: Region, labelling: Labelling, params: ValidateParams) -> list[str]:
    """Return the classes of a region: one, or several where each is to be an object."""
    labels, attribute = labels_by(labelling, region.attributes), labelling.attribute
    if len(labels) == 1 or (labels and params.several_labels == "one_object_each"):
        return labels
    if labels:
        what = f"{attribute!r} has several values: {', '.join(labels)}"
        fix = f"{_LABEL_FIX}, or set validate.several_labels: one_object_each"
        raise _RegionError(_about(region, "label-several", what, fix))
    spelled = labels_of(region.attributes.get(attribute)) if attribute is not None else []
    if spelled:
        what = f"{attribute!r} is {', '.join(spelled)}, which validate.label_map leaves out"
        raise _RegionError(_about(region, "label-left-out", what, "nothing to do, if that is meant"))
    what = "no attribute has a value" if attribute is None else f"{attribute!r} has no value"
    raise _RegionError(_about(region, "label-missing", what, _MISSING_FIX))


def _shape_and_box(region: Region, params: ValidateParams) -> tuple[Shape, Box]:
    shape = region.shape
    if isinstance(shape, Polyline) and len(shape.all_points_x) >= 3 and not params.polyline_as_outline:
        fix = "draw a polygon, or set validate.polyline_as_outline"
        raise _RegionError(_about(region, "shape-without-area", "is a polyline", fix))
    if shape is None or isinstance(shape, Point | Line) or _is_bare_line(shape):
        what = "has no shape" if shape is None else f"is a {type(shape).__name__.lower()}, which has no area"
        raise _RegionError(
            _about(region, "shape-without-area", what, "draw a rectangle or a polygon around the object")
        )
    box = shape_to_box(shape)
    if box is None:
        what = f"its {type(shape).__name__.lower()} has no width or no height"
        raise _RegionError(_about(region, "box-degenerate", what, "draw it again, or delete it"))
    return shape, box


def _is_bare_line(shape: Shape) -> bool:
    return isinstance(shape, Polyline) and len(shape.all_points_x) < 3


def _take_new(region: Region, labels: list[str], seen: _Seen) -> tuple[list[str], list[Finding]]:
    """Return the labels with which no region of the same shape came before, and findings about the others."""
    new, findings = [], []
    for label in labels:
        first = seen.setdefault((region.image_id, region.shape, label), region.region)
        if first == region.region:
            new.append(label)
            continue
        what = f"the same shape and class {label!r} as region {first}; left out"
        findings.append(_about(region, "duplicate-region", what, "delete one of the two in VIA"))
    return new, findings


def _clip(region: Region, box: Box, picture: Picture, min_side_px: float) -> Box:
    clipped = clip_box(box, width=picture.width, height=picture.height)
    if clipped is None:
        what = f"lies outside the picture of {picture.width} x {picture.height} pixels: {_corners(box)}"
        raise _RegionError(_about(region, "box-outside", what, "draw it again, or delete it"))
    if min(clipped.width, clipped.height) < min_side_px:
        what = f"is {clipped.width:g} x {clipped.height:g} pixels in the picture, less than {min_side_px:g}"
        raise _RegionError(_about(region, "box-small", what, "draw it larger, or lower validate.min_side_px"))
    return clipped


def _corners(box: Box) -> str:
    return f"{box.x_min:g}, {box.y_min:g} to {box.x_max:g}, {box.y_max:g}"


def _to_object(region: Region, label: str, box: Box, shape: Shape) -> LabelledObject:
    return LabelledObject(
        image_id=region.image_id,
        region=region.region,
        label=label,
        box=box,
        shape=shape,
        attributes=region.attributes,
    )


def _about(region: Region, code: str, what: str, fix: str) -> Finding:
    return found(code, region.image_id, what, fix, region=region.region)
