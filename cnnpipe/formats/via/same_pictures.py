"""Which entries of several VIA files are of one picture, told from the files alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from cnnpipe.formats.via.records import ViaEntry, ViaFile


class FiledEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry, and which of the files it is from."""

    file: int  # position of the file among those that were given, from 0
    entry: ViaEntry


_Group = list[FiledEntry]


def group_by_picture(files: Sequence[ViaFile]) -> list[list[FiledEntry]]:
    """Return the entries of each picture, in the order of the files; the pictures as VIA shows them.

    Entries are of one picture when their file names are the same and so are their sizes in bytes, where
    both know it. A file that names a picture twice means two: of each file a group holds one entry at
    most, that of the same key where there is one.
    """
    if len(files) == 1:
        return [[FiledEntry(0, entry)] for entry in in_view_order(files[0])]
    groups: list[_Group] = []
    of_picture: dict[tuple[str, int | None], list[_Group]] = defaultdict(list)
    sizes = _sizes(files)
    for number, file in enumerate(files):
        ordered = in_view_order(file)
        waiting: dict[tuple[str, int | None], list[int]] = defaultdict(list)
        for place, entry in enumerate(ordered):
            waiting[_identity(entry, sizes[entry.filename])].append(place)
        group_of: dict[int, _Group] = {}
        for identity, places in waiting.items():
            group_of.update(_assign({place: ordered[place] for place in places}, of_picture[identity]))
        for place, entry in enumerate(ordered):
            group = group_of.get(place)
            if group is None:
                group = []
                groups.append(group)
                of_picture[_identity(entry, sizes[entry.filename])].append(group)
            group.append(FiledEntry(number, entry))
    return groups


def in_view_order(file: ViaFile) -> list[ViaEntry]:
    """Return the entries in the order in which VIA shows them; of a key that stands twice, both."""
    place = {key: number for number, key in enumerate(file.image_order)}
    return sorted(file.entries, key=lambda entry: place.get(entry.key, len(place)))


def _sizes(files: Sequence[ViaFile]) -> dict[str, set[int]]:
    sizes: dict[str, set[int]] = defaultdict(set)
    for file in files:
        for entry in file.entries:
            known = sizes[entry.filename]
            if entry.size_bytes is not None:
                known.add(entry.size_bytes)
    return sizes


def _identity(entry: ViaEntry, sizes: set[int]) -> tuple[str, int | None]:
    # of one size only: an entry that does not know it is of the same picture. Of several: of none of them,
    # so that the order of the files does not decide
    return entry.filename, None if len(sizes) <= 1 else entry.size_bytes


def _assign(entries: Mapping[int, ViaEntry], known: Sequence[_Group]) -> dict[int, _Group]:
    """Return which of the pictures of one name each entry of one file is of; the others are new pictures."""
    by_key = {group[0].entry.key: group for group in known}
    of_same_key = {entry.key for entry in entries.values()} & by_key.keys()
    free = iter([group for group in known if group[0].entry.key not in of_same_key])
    assigned = {}
    for place, entry in entries.items():
        # popped: a key that stands twice in one file means two pictures
        group = by_key.pop(entry.key, None) if entry.key in of_same_key else None
        group = next(free, None) if group is None else group
        if group is not None:
            assigned[place] = group
    return assigned
