"""Annotations JSON of VIA 1 (regions in an object) and VIA 2 (regions in a list)."""

from collections.abc import Mapping
from typing import Any

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import ViaEntry, ViaFile
from cnnpipe.formats.via.regions import parse_attributes, parse_regions


def read_annotations(value: Mapping[str, Any], *, where: str) -> ViaFile:
    """Return the file whose JSON value is `value`; `where` is its name, for findings."""
    entries, findings = parse_entries(value, where=where)
    return ViaFile(
        kind="annotations-json",
        version="1" if any(_is_version_1(entry) for entry in value.values()) else "2",
        entries=entries,
        attributes={"region": {}, "file": {}},  # only a project declares them
        image_order=tuple(entry.key for entry in entries),
        findings=findings,
    )


def parse_entries(
    value: Mapping[str, Any], *, where: str
) -> tuple[tuple[ViaEntry, ...], tuple[Finding, ...]]:
    """Return the entries that name a picture, and a finding for each that does not."""
    entries, findings = [], []
    for key, entry in value.items():
        filename = entry.get("filename") if isinstance(entry, Mapping) else None
        if isinstance(filename, str) and filename.strip():
            entries.append(_parse_entry(key, filename, entry))
        else:
            fix = "give it a `filename`, or delete it"
            findings.append(found("entry-unreadable", f"{where}: {key}", "the entry names no picture", fix))
    return tuple(entries), tuple(findings)


def _parse_entry(key: str, filename: str, entry: Mapping[str, Any]) -> ViaEntry:
    regions, findings = parse_regions(entry.get("regions"), where=filename)
    try:
        file_attributes = parse_attributes(entry.get("file_attributes"))
    except ValueError as error:
        file_attributes = {}
        findings += (found("entry-unreadable", filename, str(error), "set them again in VIA"),)
    return ViaEntry(
        key=key,
        filename=filename,
        size_bytes=_parse_size(entry.get("size")),
        regions=regions,
        file_attributes=file_attributes,
        findings=findings,
    )


def _parse_size(value: Any) -> int | None:
    """Return the size in bytes; a text after an import of CSV, -1 for a picture added by its path."""
    try:
        size = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return size if size > 0 else None


def _is_version_1(entry: Any) -> bool:
    return isinstance(entry, Mapping) and ("fileref" in entry or isinstance(entry.get("regions"), Mapping))
