"""What differs between two states of a picture's annotations: regions added, removed, moved, relabelled.

Where a network is to predict a number, regions and pictures of another number differ, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.numbers import number_of
from cnnpipe.formats.via.records import ViaEntry, ViaRegion
from cnnpipe.formats.via.region_changes import match_regions
from cnnpipe.formats.via.review import is_unchecked


class RegionChanges(msgspec.Struct, frozen=True, kw_only=True):
    """How many regions are new, gone, or otherwise than they were; of the last three, one can be several."""

    added: int
    removed: int
    moved: int  # of another shape
    relabelled: int  # of another class
    renumbered: int = 0  # of another number


class PictureChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is new about one picture in one annotation file."""

    image_id: str
    state: Literal["added", "removed", "changed", "same"]
    regions: RegionChanges
    relabelled: bool  # the class of the whole picture is another
    renumbered: bool  # its number is
    unchecked: bool  # as a network left it: nothing of it counts


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes that hold the class, and the number to be predicted; None: there is none."""

    of_region: str | None
    of_picture: str | None
    number_of_region: str | None = None
    number_of_picture: str | None = None


def compare_picture(
    image_id: str, old: Sequence[ViaEntry], new: Sequence[ViaEntry], labels: Labels
) -> PictureChanges:
    """Return what differs between the entries of one picture in an older and in a newer file.

    Entries that no person has checked hold no regions.
    """
    regions = compare_regions(_regions(old), _regions(new), labels)
    relabelled = _picture_label(old, labels) != _picture_label(new, labels)
    renumbered = _picture_numbers(old, labels) != _picture_numbers(new, labels)
    unchecked = bool(new) and all(is_unchecked(entry.file_attributes) for entry in new)
    state: Literal["added", "removed", "changed", "same"] = "added" if not old else "removed"
    if old and new:
        was_unchecked = all(is_unchecked(entry.file_attributes) for entry in old)
        differs = (any(msgspec.structs.astuple(regions)), relabelled, renumbered, unchecked != was_unchecked)
        state = "changed" if any(differs) else "same"
    return PictureChanges(
        image_id=image_id,
        state=state,
        regions=regions,
        relabelled=bool(old) and bool(new) and relabelled,
        renumbered=bool(old) and bool(new) and renumbered,
        unchecked=unchecked,
    )


def compare_regions(old: Sequence[ViaRegion], new: Sequence[ViaRegion], labels: Labels) -> RegionChanges:
    """Return how two lists of regions of one picture differ, by the rules of `match_regions`.

    Without an attribute that holds the class, a region of other attributes is a relabelled one.
    """
    matched = match_regions(old, new, labels.of_region)
    has_class = labels.of_region is not None
    return RegionChanges(
        added=len(matched.added),
        removed=len(matched.removed),
        moved=sum(pair.is_moved for pair in matched.pairs),
        relabelled=sum(
            pair.is_relabelled if has_class else pair.is_annotated_otherwise for pair in matched.pairs
        ),
        renumbered=sum(
            _number(pair.before.attributes, labels.number_of_region)
            != _number(pair.after.attributes, labels.number_of_region)
            for pair in matched.pairs
        ),
    )


def _regions(entries: Sequence[ViaEntry]) -> list[ViaRegion]:
    return [r for entry in entries if not is_unchecked(entry.file_attributes) for r in entry.regions]


def _picture_label(entries: Sequence[ViaEntry], labels: Labels) -> list[str]:
    if labels.of_picture is None:
        return []
    return [label for entry in entries for label in labels_of(entry.file_attributes.get(labels.of_picture))]


def _picture_numbers(entries: Sequence[ViaEntry], labels: Labels) -> list[float | None]:
    if labels.number_of_picture is None:
        return []
    return [_number(entry.file_attributes, labels.number_of_picture) for entry in entries]


def _number(attributes: Mapping[str, Any], name: str | None) -> float | None:
    return None if name is None else number_of(attributes.get(name))[0]
