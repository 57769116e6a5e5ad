"""What differs between two states of a picture's annotations: regions added, removed, moved, relabelled."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import ViaEntry, ViaRegion
from cnnpipe.formats.via.review import is_unchecked
from cnnpipe.geometry.boxes import Box, box_iou
from cnnpipe.geometry.shapes import shape_to_box


class RegionChanges(msgspec.Struct, frozen=True, kw_only=True):
    """How many regions are new, gone, of another shape, of another class; one can be both of the latter."""

    added: int
    removed: int
    moved: int
    relabelled: int


class PictureChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is new about one picture in one annotation file."""

    image_id: str
    state: Literal["added", "removed", "changed", "same"]
    regions: RegionChanges
    relabelled: bool  # the class of the whole picture is another
    unchecked: bool  # as a network left it: nothing of it counts


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes that hold the class; None: there is none."""

    of_region: str | None
    of_picture: str | None


def compare_picture(
    image_id: str, old: Sequence[ViaEntry], new: Sequence[ViaEntry], labels: Labels
) -> PictureChanges:
    """Return what differs between the entries of one picture in an older and in a newer file.

    Entries that no person has checked hold no regions.
    """
    regions = compare_regions(_regions(old), _regions(new), labels.of_region)
    before, after = _picture_label(old, labels), _picture_label(new, labels)
    unchecked = bool(new) and all(is_unchecked(entry.file_attributes) for entry in new)
    state: Literal["added", "removed", "changed", "same"] = "added" if not old else "removed"
    if old and new:
        was_unchecked = all(is_unchecked(entry.file_attributes) for entry in old)
        is_changed = any(msgspec.structs.astuple(regions)) or before != after or unchecked != was_unchecked
        state = "changed" if is_changed else "same"
    return PictureChanges(
        image_id=image_id,
        state=state,
        regions=regions,
        relabelled=bool(old) and bool(new) and before != after,
        unchecked=unchecked,
    )


def compare_regions(
    old: Sequence[ViaRegion], new: Sequence[ViaRegion], label_attribute: str | None
) -> RegionChanges:
    """Return how two lists of regions of one picture differ.

    A region of the same shape is the same one, whatever its number, for numbers move up when one is
    deleted. Of the others, those that overlap most are taken for one that was moved; at last those of the
    same number and class.
    """
    pairs: list[tuple[ViaRegion, ViaRegion]] = []
    for pairing in (_same_shape, _most_overlap, _same_number):
        left_old = _without(old, (before for before, _ in pairs))
        left_new = _without(new, (after for _, after in pairs))
        pairs += pairing(left_old, left_new, lambda region: _label(region, label_attribute))
    return RegionChanges(
        added=len(new) - len(pairs),
        removed=len(old) - len(pairs),
        moved=sum(before.shape != after.shape for before, after in pairs),
        relabelled=sum(
            _label(before, label_attribute) != _label(after, label_attribute) for before, after in pairs
        ),
    )


_Pairs = list[tuple[ViaRegion, ViaRegion]]
_LabelOf = Callable[[ViaRegion], Any]


def _same_shape(old: Sequence[ViaRegion], new: Sequence[ViaRegion], label_of: _LabelOf) -> _Pairs:
    """Pair regions of one shape; where several have it, first those of the same class."""
    waiting: dict[Any, list[ViaRegion]] = defaultdict(list)
    for region in old:
        waiting[region.shape].append(region)
    pairs: _Pairs = []
    for is_strict in (True, False):
        for after in _without(new, (each for _, each in pairs)):
            before = next(
                (each for each in waiting[after.shape] if not is_strict or label_of(each) == label_of(after)),
                None,
            )
            if before is not None:
                waiting[after.shape].remove(before)
                pairs.append((before, after))
    return pairs


def _most_overlap(old: Sequence[ViaRegion], new: Sequence[ViaRegion], _label_of: _LabelOf) -> _Pairs:
    """Pair regions by the overlap of their boxes, the greatest first; ties by number."""
    befores, afters = _with_box(old), _with_box(new)
    if not befores or not afters:
        return []
    iou_NM = box_iou(_corners(befores), _corners(afters))
    ranked = sorted((-float(iou_NM[i, j]), i, j) for i, j in np.argwhere(iou_NM > 0).tolist())
    pairs: _Pairs = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in ranked:
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((befores[i][0], afters[j][0]))
    return pairs


def _same_number(old: Sequence[ViaRegion], new: Sequence[ViaRegion], label_of: _LabelOf) -> _Pairs:
    by_number = {after.number: after for after in new}
    return [
        (before, by_number[before.number])
        for before in old
        if before.number in by_number and label_of(before) == label_of(by_number[before.number])
    ]


def _without(regions: Sequence[ViaRegion], taken: Iterable[ViaRegion]) -> list[ViaRegion]:
    identities = {id(region) for region in taken}
    return [region for region in regions if id(region) not in identities]


def _with_box(regions: Sequence[ViaRegion]) -> list[tuple[ViaRegion, Box]]:
    boxes = ((region, None if region.shape is None else shape_to_box(region.shape)) for region in regions)
    return [(region, box) for region, box in boxes if box is not None]


def _corners(regions: Sequence[tuple[ViaRegion, Box]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([msgspec.structs.astuple(box) for _, box in regions], dtype=np.float64)


def _label(region: ViaRegion, attribute: str | None) -> Any:
    return region.attributes if attribute is None else labels_of(region.attributes.get(attribute))


def _regions(entries: Sequence[ViaEntry]) -> list[ViaRegion]:
    return [r for entry in entries if not is_unchecked(entry.file_attributes) for r in entry.regions]


def _picture_label(entries: Sequence[ViaEntry], labels: Labels) -> list[str]:
    if labels.of_picture is None:
        return []
    return [label for entry in entries for label in labels_of(entry.file_attributes.get(labels.of_picture))]
