"""What is odd about the boxes that passed the gate: they fill the picture, or two lie on one spot."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnnpipe.annotations import Finding, LabelledObject, Picture, found
from cnnpipe.datasets.box_pairs import near_boxes
from cnnpipe.geometry.boxes import box_iou
from cnnpipe.params.validate import ValidateParams

_NONE: Final = np.iinfo(np.int64).max  # where no object is earlier


def check_boxes(
    objects: Sequence[LabelledObject], pictures: Mapping[str, Picture], params: ValidateParams
) -> list[Finding]:
    """Return the findings about boxes; none of them is left out for it.

    Args:
        objects: that passed the gate.
        pictures: those they are on, by image_id.
        params: section `validate`.
    """
    huge = _check_size(objects, pictures, params.huge_box_fraction)
    return huge + _check_repeats(objects, params.repeated_box_iou)


def _check_size(
    objects: Sequence[LabelledObject], pictures: Mapping[str, Picture], most: float
) -> list[Finding]:
    findings = []
    for each in objects:
        picture = pictures[each.image_id]
        share = each.box.area / (picture.width * picture.height)
        if share > most:
            what = f"fills {100 * share:.0f} % of the picture"
            fix = "draw it around the object alone, if that is smaller"
            findings.append(found("box-huge", each.image_id, what, fix, region=each.region))
    return findings


def _check_repeats(objects: Sequence[LabelledObject], least_iou: float) -> list[Finding]:
    """Notice regions that nearly coincide with an earlier one; of several, the first is named."""
    # by picture, then by number: an object is earlier where its position is lower
    objects = sorted(objects, key=lambda each: (each.image_id, each.region, each.label))
    if len(objects) < 2:
        return []
    scene_N, label_N = _numbered([o.image_id for o in objects]), _numbered([o.label for o in objects])
    region_N = np.array([each.region for each in objects], dtype=np.int64)
    first_same_N, first_other_N = (np.full(len(objects), _NONE) for _ in range(2))
    for one, other in near_boxes(scene_N, _corners(objects), least_iou=least_iou):
        early, late = np.minimum(one, other), np.maximum(one, other)
        is_two = region_N[early] != region_N[late]  # a region of several classes is several objects
        is_same = label_N[early] == label_N[late]
        np.minimum.at(first_same_N, late[is_two & is_same], early[is_two & is_same])
        np.minimum.at(first_other_N, late[is_two & ~is_same], early[is_two & ~is_same])
    repeated = [_repeated(objects[e], objects[late]) for late, e in _named(first_same_N)]
    told = {(finding.where, finding.region) for finding in repeated}
    contested = [_contested(objects[e], objects[late]) for late, e in _named(first_other_N)]
    return repeated + [finding for finding in contested if (finding.where, finding.region) not in told]


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64)


def _corners(objects: Sequence[LabelledObject]) -> NDArray[np.float64]:
    boxes = [each.box for each in objects]
    return np.array([(box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes], dtype=np.float64)


def _named(first_N: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(int(late), int(first_N[late])) for late in np.flatnonzero(first_N != _NONE)]


def _repeated(early: LabelledObject, late: LabelledObject) -> Finding:
    what = f"is {late.label!r} as region {early.region}, and nearly where that is ({_overlap(early, late)})"
    fix = "delete one of the two in VIA, if they are one object"
    return found("box-repeated", late.image_id, what, fix, region=late.region)


def _contested(early: LabelledObject, late: LabelledObject) -> Finding:
    what = (
        f"is {late.label!r}, but region {early.region}, nearly where it is, is {early.label!r} "
        f"({_overlap(early, late)})"
    )
    fix = "delete the one of the wrong class in VIA, if they are one object"
    return found("box-contested", late.image_id, what, fix, region=late.region)


def _overlap(early: LabelledObject, late: LabelledObject) -> str:
    [[iou]] = box_iou(_corners([early]), _corners([late])).tolist()
    return f"IoU {iou:.2f}"
