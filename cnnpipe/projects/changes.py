"""What differs between two states of a picture's annotations: regions added, removed, moved, relabelled."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import ViaEntry, ViaRegion
from cnnpipe.formats.via.region_changes import match_regions
from cnnpipe.formats.via.review import is_unchecked


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
    """Return how two lists of regions of one picture differ, by the rules of `match_regions`.

    Without an attribute that holds the class, a region of other attributes is a relabelled one.
    """
    matched = match_regions(old, new, label_attribute)
    has_class = label_attribute is not None
    return RegionChanges(
        added=len(matched.added),
        removed=len(matched.removed),
        moved=sum(pair.is_moved for pair in matched.pairs),
        relabelled=sum(
            pair.is_relabelled if has_class else pair.is_annotated_otherwise for pair in matched.pairs
        ),
    )


def _regions(entries: Sequence[ViaEntry]) -> list[ViaRegion]:
    return [r for entry in entries if not is_unchecked(entry.file_attributes) for r in entry.regions]


def _picture_label(entries: Sequence[ViaEntry], labels: Labels) -> list[str]:
    if labels.of_picture is None:
        return []
    return [label for entry in entries for label in labels_of(entry.file_attributes.get(labels.of_picture))]
