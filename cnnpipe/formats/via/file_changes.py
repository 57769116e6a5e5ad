"""What differs between two VIA files: pictures, regions, labels and other values."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import ViaEntry, ViaFile, ViaRegion
from cnnpipe.formats.via.region_changes import RegionMatch, RegionPair, attributes_key, match_regions
from cnnpipe.formats.via.same_pictures import group_by_picture


class OneRegion(msgspec.Struct, frozen=True, kw_only=True):
    """A region that only one of the files has."""

    region: int  # its number there
    label: Sequence[str]


class ChangedRegion(msgspec.Struct, frozen=True, kw_only=True):
    """A region that both files have, and not the same."""

    before: int  # its number in the older file
    after: int  # and in the newer one
    label_before: Sequence[str]
    label_after: Sequence[str]
    iou: float | None  # of the boxes; None: one has no area


class ChangedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value of an attribute other than that of the class; null: absent."""

    region: int | None  # its number in the newer file; None: a file attribute
    attribute: str
    before: Any
    after: Any


class PictureDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs in one picture."""

    image: str
    state: Literal["added", "removed", "changed"]
    added: Sequence[OneRegion]
    removed: Sequence[OneRegion]
    moved: Sequence[ChangedRegion]
    relabelled: Sequence[ChangedRegion]
    values: Sequence[ChangedValue]


class FileDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two files."""

    label_attribute: str | None
    pictures: Sequence[PictureDifference]  # those that differ, as the files show them
    num_same: int

    @property
    def is_same(self) -> bool:
        return not self.pictures

    def totals(self) -> dict[str, dict[str, int]]:
        """Return how many pictures and regions are in each state."""
        states = [each.state for each in self.pictures]
        return {
            "pictures": {
                **{state: states.count(state) for state in ("added", "removed", "changed")},
                "same": self.num_same,
            },
            "regions": {
                kind: sum(len(getattr(each, kind)) for each in self.pictures)
                for kind in ("added", "removed", "moved", "relabelled")
            },
            "other values": {"changed": sum(len(each.values) for each in self.pictures)},
        }


def compare_files(old: ViaFile, new: ViaFile, label_attribute: str | None) -> FileDifference:
    """Return what differs; pictures are the same as `group_by_picture` tells it.

    Args:
        old: the older file.
        new: the newer one.
        label_attribute: the attribute of a region that holds its class; None: there is none.
    """
    pictures: list[PictureDifference] = []
    num_same = 0
    for group in group_by_picture([old, new]):
        entries: list[ViaEntry | None] = [None, None]
        for each in group:
            entries[each.file] = each.entry
        difference = _compare(entries[0], entries[1], label_attribute)
        if difference is None:
            num_same += 1
        else:
            pictures.append(difference)
    return FileDifference(label_attribute=label_attribute, pictures=pictures, num_same=num_same)


def _compare(old: ViaEntry | None, new: ViaEntry | None, label: str | None) -> PictureDifference | None:
    """Return what differs in a picture; None: nothing."""
    matched = match_regions(old.regions if old else (), new.regions if new else (), label)
    moved = [_changed(pair) for pair in matched.pairs if pair.is_moved]
    relabelled = [_changed(pair) for pair in matched.pairs if pair.is_relabelled]
    values = _changed_values(matched, label)
    if old and new:
        values += _compare_values(old.file_attributes, new.file_attributes, None)
        if not (matched.added or matched.removed or moved or relabelled or values):
            return None
    either = new or old
    return PictureDifference(
        image=either.filename if either else "",
        state="added" if old is None else "removed" if new is None else "changed",
        added=[_one(region, label) for region in matched.added],
        removed=[_one(region, label) for region in matched.removed],
        moved=moved,
        relabelled=relabelled,
        values=values,
    )


def _one(region: ViaRegion, label: str | None) -> OneRegion:
    labels = [] if label is None else labels_of(region.attributes.get(label))
    return OneRegion(region=region.number, label=labels)


def _changed(pair: RegionPair) -> ChangedRegion:
    return ChangedRegion(
        before=pair.before.number,
        after=pair.after.number,
        label_before=pair.label_before,
        label_after=pair.label_after,
        iou=None if pair.iou is None else round(pair.iou, 4),
    )


def _changed_values(matched: RegionMatch, label: str | None) -> list[ChangedValue]:
    return [
        value
        for pair in matched.pairs
        if pair.is_annotated_otherwise
        for value in _compare_values(pair.before.attributes, pair.after.attributes, pair.after.number)
        # what the class was and is has been told
        if not (value.attribute == label and pair.is_relabelled)
    ]


def _compare_values(
    before: Mapping[str, Any], after: Mapping[str, Any], region: int | None
) -> list[ChangedValue]:
    return [
        ChangedValue(region=region, attribute=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*before, *after))
        if _is_another(before.get(name), after.get(name))
    ]


def _is_another(before: Any, after: Any) -> bool:
    """Whether a value is another one; an empty one is none, as VIA leaves it where nobody typed."""
    if attributes_key({"": before}) == attributes_key({"": after}):
        return False
    return bool(labels_of(before) or labels_of(after))
