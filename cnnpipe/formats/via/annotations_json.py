"""Annotations JSON of VIA 1 (regions in an object) and VIA 2 (regions in a list)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.clean_entries import SharedAttributes, read_clean
from cnnpipe.formats.via.decode import Member, members_of, value_of
from cnnpipe.formats.via.records import ViaEntry, ViaFile
from cnnpipe.formats.via.regions import parse_attributes, parse_regions, unknown_fields

_FIELDS: Final = frozenset({"filename", "size", "regions", "file_attributes", "fileref", "base64_img_data"})
_NO_ENTRIES: Final = "save it again in VIA, or restore the file from a copy"


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """The pictures of one file."""

    entries: tuple[ViaEntry, ...]
    findings: tuple[Finding, ...]  # of those that cannot be used, and of what was passed over
    num_images: int  # as the file holds them
    num_regions: int
    is_version_1: bool


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that is not as VIA writes it, and what the file holds of it."""

    entry: ViaEntry | None  # None: it cannot be used
    is_picture: bool = True  # an object, be it usable or not
    findings: tuple[Finding, ...] = ()
    num_regions: int = 0
    is_version_1: bool = False
    unknown: Sequence[str] = ()  # names of fields that are not VIA's


def read_annotations(text: bytes, *, where: str) -> ViaFile:
    """Return the file with this text; `where` is its name, for findings.

    Raises:
        AnnotationError: not JSON, or not an object of entries.
    """
    parsed = parse_entries(text, where=where)
    if parsed is None:
        raise AnnotationError(where, "holds no object with one entry per picture", _NO_ENTRIES)
    return ViaFile(
        kind="annotations-json",
        version="1" if parsed.is_version_1 else "2",
        entries=parsed.entries,
        attributes={"region": {}, "file": {}},  # only a project declares them
        image_order=tuple(entry.key for entry in parsed.entries),
        findings=parsed.findings,
        num_images=parsed.num_images,
        num_regions=parsed.num_regions,
    )


def parse_entries(value: bytes | msgspec.Raw | Any, *, where: str) -> Entries | None:
    """Return the entries that name a picture, and a finding for each that does not.

    Of a key that stands twice the last entry counts, as in VIA, and a finding says so.

    Args:
        value: an object of entries: its text, or what it is already. None is returned for anything else.
        where: the file, for findings.

    Raises:
        AnnotationError: not JSON.
    """
    members = members_of(value, where=where)
    if members is None:
        return None
    times = _repeated_keys(members)
    reading = _Reading(where)
    for key in sorted(times):
        reading.findings.append(_repeated(key, where))
    members.reverse()
    while members:  # each is let go once it is read: all of them are several times the text
        key, member = members.pop()
        if times.get(key, 1) > 1:
            times[key] -= 1
        else:
            reading.add(key, member)
    return reading.end()


def _repeated_keys(members: Sequence[Member]) -> dict[str, int]:
    """Return how often each key stands there that stands more than once."""
    if len({key for key, _ in members}) == len(members):
        return {}
    return {key: number for key, number in Counter(key for key, _ in members).items() if number > 1}


class _Reading:
    """What was read so far."""

    def __init__(self, where: str) -> None:
        self.findings: list[Finding] = []
        self._where = where
        self._shared = SharedAttributes()
        self._entries: list[ViaEntry] = []
        self._unknown: Counter[str] = Counter()
        self._num_images = self._num_regions = 0
        self._is_version_1 = False

    def add(self, key: str, member: msgspec.Raw | Any) -> None:
        clean = read_clean(key, member, self._shared) if isinstance(member, msgspec.Raw) else None
        if clean is None:
            self._add_dirty(_read_dirty(key, member, self._where))
            return
        entry, is_version_1 = clean
        self._entries.append(entry)
        self._num_images += 1
        self._num_regions += len(entry.regions)
        self._is_version_1 |= is_version_1

    def end(self) -> Entries:
        return Entries(
            entries=tuple(self._entries),
            findings=(*self.findings, *_passed_over(self._unknown, self._where)),
            num_images=self._num_images,
            num_regions=self._num_regions,
            is_version_1=self._is_version_1,
        )

    def _add_dirty(self, read: _Read) -> None:
        if read.entry is not None:
            self._entries.append(read.entry)
        self.findings += read.findings
        self._unknown.update(read.unknown)
        self._num_images += read.is_picture
        self._num_regions += read.num_regions
        self._is_version_1 |= read.is_version_1


def _read_dirty(key: str, member: msgspec.Raw | Any, where: str) -> _Read:
    """Read an entry that is not as VIA writes it: field by field, each with its own finding."""
    try:
        value = value_of(member, where=where)
    except AnnotationError as error:
        finding = found("entry-unreadable", f"{where}: {key}", error.what, error.fix)
        return _Read(entry=None, findings=(finding,))
    filename = value.get("filename") if isinstance(value, Mapping) else None
    if not isinstance(filename, str) or not filename.strip():
        fix = "give it a `filename`, or delete it"
        finding = found("entry-unreadable", f"{where}: {key}", "the entry names no picture", fix)
        return _Read(entry=None, is_picture=isinstance(value, Mapping), findings=(finding,))
    regions, findings = parse_regions(value.get("regions"), where=filename)
    file_attributes, about = _parse_file_attributes(value, filename)
    entry = ViaEntry(
        key=key,
        filename=filename,
        size_bytes=parse_size(value.get("size")),
        regions=regions,
        file_attributes=file_attributes,
        findings=(*findings, *about),
    )
    return _Read(
        entry=entry,
        num_regions=count_regions(value.get("regions")),
        is_version_1="fileref" in value or isinstance(value.get("regions"), Mapping),
        unknown=list(_unknown(value)),
    )


def _parse_file_attributes(
    value: Mapping[str, Any], filename: str
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    try:
        return parse_attributes(value.get("file_attributes")), ()
    except ValueError as error:
        return {}, (found("entry-unreadable", filename, str(error), "set them again in VIA"),)


def parse_size(value: Any) -> int | None:
    """Return the size in bytes; a text after an import of CSV, -1 for a picture added by its path."""
    try:
        size = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return size if size > 0 else None


def count_regions(regions: Any) -> int:
    """Return how many regions stand there, unreadable ones included; a `null` is none."""
    values = regions.values() if isinstance(regions, Mapping) else regions
    return sum(isinstance(each, Mapping) for each in values) if isinstance(values, Iterable) else 0


def _unknown(value: Mapping[str, Any]) -> Iterable[str]:
    """Yield the fields of an entry that are not VIA's, a picture within the file among them."""
    yield from (name for name in value if name not in _FIELDS)
    if value.get("base64_img_data"):
        yield "base64_img_data"
    regions = value.get("regions")
    values = regions.values() if isinstance(regions, Mapping) else regions
    if isinstance(values, list) or isinstance(regions, Mapping):
        yield from (name for region in values or () for name in unknown_fields(region))


def _repeated(key: str, where: str) -> Finding:
    fix = "if both hold annotations, give one of them another key; the first is not read"
    what = "its key stands twice; the last counts, as in VIA"
    return found("entry-repeated", f"{where}: {key}", what, fix)


def _passed_over(unknown: Mapping[str, int], where: str) -> Iterable[Finding]:
    for name, times in sorted(unknown.items()):
        what = f"the field {name!r} is not one of VIA's; it is passed over ({times} times)"
        yield found("field-unknown", where, what, "nothing to do, unless it is a misspelling")
