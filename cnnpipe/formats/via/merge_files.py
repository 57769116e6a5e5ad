"""Several VIA files to one: the same picture in two of them keeps the regions of both.

Equal regions count once. What contradicts itself (a region of one shape with two labels, a file attribute
with two values) is a conflict: it is listed, and only a choice of the user decides it.
"""

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.declared_union import unite_declared
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import ViaEntry, ViaFile, ViaRegion, num_regions
from cnnpipe.formats.via.region_changes import attributes_key
from cnnpipe.formats.via.same_pictures import FiledEntry, group_by_picture

Keep = Literal["first", "last"]


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute with two values; the file that came first, and the one that contradicts it."""

    image: str
    region: int | None  # its number in the merged file; None: an attribute of the picture
    attribute: str
    files: tuple[str, str]
    values: tuple[Any, Any]


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """Several files as one, and what they contradict each other in."""

    file: ViaFile
    conflicts: Sequence[Conflict]  # where `keep` is given: decided by it
    num_shared: int  # pictures that stand in several files


def merge_files(files: Sequence[tuple[str, ViaFile]], keep: Keep | None) -> Merged:
    """Return the files as one; its pictures, settings and numbers of regions are those of the first.

    Args:
        files: at least one, with their names for conflicts.
        keep: whose value stays where two contradict each other. None: the first one's, which is nothing to
            be written before the user has seen the conflicts.
    """
    names = [name for name, _ in files]
    first = files[0][1]
    groups = group_by_picture([file for _, file in files])
    conflicts: list[Conflict] = []
    entries: list[ViaEntry] = []
    keys: set[str] = set()
    for group in groups:
        joined = _join(group, names, keep, conflicts)
        entries.append(_with_own_key(joined, keys))
        keys.add(entries[-1].key)
    declared = [(name, file.attributes) for name, file in files]
    united, contradictions = unite_declared(declared[::-1] if keep == "last" else declared)
    findings = dict.fromkeys(finding for _, file in files for finding in file.findings)
    in_order_of_first = _as_in_first(entries, first)
    merged = msgspec.structs.replace(
        first,
        entries=tuple(in_order_of_first),
        attributes={"region": united.region, "file": united.file},
        image_order=tuple(entry.key for entry in entries),
        findings=(*findings, *_repeated(files), *contradictions),
        num_images=first.num_images + len(entries) - len(first.entries),
        num_regions=first.num_regions + _num_regions(entries) - _num_regions(first.entries),
    )
    return Merged(file=merged, conflicts=conflicts, num_shared=sum(len(group) > 1 for group in groups))


def _join(
    group: Sequence[FiledEntry], names: Sequence[str], keep: Keep | None, conflicts: list[Conflict]
) -> ViaEntry:
    """Return one picture's entries as one; what contradicts itself is added to `conflicts`."""
    if len(group) == 1:
        return group[0].entry
    picture = _JoinedPicture(group[0].entry, names[group[0].file], keep)
    for filed in group[1:]:
        picture.add(filed.entry, names[filed.file])
    conflicts += picture.conflicts
    return picture.entry()


class _JoinedPicture:
    """A picture while entries are added to it."""

    def __init__(self, entry: ViaEntry, source: str, keep: Keep | None) -> None:
        self.conflicts: list[Conflict] = []
        self._first = entry
        self._keep = keep
        self._regions = list(entry.regions)
        self._sources = [source] * len(self._regions)
        self._file_attributes, self._file_source = entry.file_attributes, source
        self._findings = dict.fromkeys(entry.findings)
        self._known = entry
        self._next = num_regions(entry)

    def add(self, entry: ViaEntry, source: str) -> None:
        for place, region in self._pair(entry.regions):
            if place is None:
                self._regions.append(msgspec.structs.replace(region, number=self._next))
                self._sources.append(source)
                self._next += 1
                continue
            mine = self._regions[place]
            values = self._unite(
                mine.attributes, region.attributes, (self._sources[place], source), mine.number
            )
            self._regions[place] = msgspec.structs.replace(mine, attributes=values)
            self._sources[place] = source if self._keep == "last" else self._sources[place]
        files = (self._file_source, source)
        self._file_attributes = self._unite(self._file_attributes, entry.file_attributes, files, None)
        for finding in entry.findings:
            self._add_finding(finding)
        self._known = _fill(self._known, entry)

    def entry(self) -> ViaEntry:
        return msgspec.structs.replace(
            self._known,
            regions=tuple(self._regions),
            file_attributes=self._file_attributes,
            findings=tuple(self._findings),
        )

    def _pair(self, regions: Iterable[ViaRegion]) -> list[tuple[int | None, ViaRegion]]:
        """Return where each region that is not equal to one of mine has its shape in mine; None: nowhere."""
        mine: dict[Hashable, deque[int]] = defaultdict(deque)
        for place, region in enumerate(self._regions):
            mine[_key(region)].append(place)
        new = []
        equal: set[int] = set()
        for region in regions:
            places = mine.get(_key(region))
            if places:
                equal.add(places.popleft())
            else:
                new.append(region)
        by_shape: dict[Hashable, deque[int]] = defaultdict(deque)
        for place, region in enumerate(self._regions):
            if place not in equal and region.shape is not None:
                by_shape[region.shape].append(place)
        return [(by_shape[each.shape].popleft() if by_shape.get(each.shape) else None, each) for each in new]

    def _unite(
        self,
        mine: Mapping[str, Any],
        others: Mapping[str, Any],
        files: tuple[str, str],
        region: int | None,
    ) -> dict[str, Any]:
        united = dict(mine)
        for name, value in others.items():
            if not labels_of(united.get(name)):
                # an empty value is none: the other stands, whatever comes first
                united[name] = value if labels_of(value) or name not in united else united[name]
            elif labels_of(value) and attributes_key({name: united[name]}) != attributes_key({name: value}):
                conflict = Conflict(
                    image=self._first.filename,
                    region=region,
                    attribute=name,
                    files=files,
                    values=(united[name], value),
                )
                self.conflicts.append(conflict)
                united[name] = value if self._keep == "last" else united[name]
        return united

    def _add_finding(self, finding: Finding) -> None:
        if finding in self._findings:
            return
        if finding.region is not None:  # an unreadable region, which has a number too
            finding = msgspec.structs.replace(finding, region=self._next)
            self._next += 1
        self._findings[finding] = None


def _key(region: ViaRegion) -> Hashable:
    return region.shape, attributes_key(region.attributes)


def _fill(entry: ViaEntry, other: ViaEntry) -> ViaEntry:
    """Return the entry with what only the other knows of the picture."""
    return msgspec.structs.replace(
        entry,
        size_bytes=other.size_bytes if entry.size_bytes is None else entry.size_bytes,
        width=other.width if entry.width is None else entry.width,
        height=other.height if entry.height is None else entry.height,
    )


def _with_own_key(entry: ViaEntry, taken: set[str]) -> ViaEntry:
    """Return the entry under a key that no other has: VIA would show one of the two only."""
    if entry.key not in taken:
        return entry
    wanted = f"{entry.filename}{-1 if entry.size_bytes is None else entry.size_bytes}"
    key, number = wanted, 1
    while key in taken:
        number += 1
        key = f"{wanted}-{number}"
    return msgspec.structs.replace(entry, key=key)


def _as_in_first(entries: Sequence[ViaEntry], first: ViaFile) -> list[ViaEntry]:
    """Return the entries in the order in which the first file holds its own, then the others."""
    place = {entry.key: number for number, entry in enumerate(first.entries)}
    return sorted(entries, key=lambda entry: place.get(entry.key, len(place)))


def _num_regions(entries: Iterable[ViaEntry]) -> int:
    return sum(num_regions(entry) for entry in entries)


def _repeated(files: Sequence[tuple[str, ViaFile]]) -> list[Finding]:
    """Notice files that hold the same as one before them."""
    findings = []
    seen: dict[tuple[int, int, str], list[tuple[str, ViaFile]]] = defaultdict(list)
    for name, file in files:
        # only files that are alike are compared whole
        alike = seen[len(file.entries), file.num_regions, file.entries[0].key if file.entries else ""]
        same = next((each for each, other in alike if other.entries and other.entries == file.entries), None)
        if same is not None:
            findings.append(found("file-repeated", name, f"holds the same as {same}", "name it once"))
        else:
            alike.append((name, file))
    return findings
