"""CSV of VIA 3: its own, with shapes, and that of time segments, without.

Everything about the rows stands in comments before them: the columns, and the attributes.

Source: `export_to_via3_csv` and `export_to_temporal_segments_csv` of
via-3.x.y/src/js/_via_import_export.js (3.0.10).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.csv_rows import (
    MOST_LISTED,
    SEPARATORS,
    Row,
    decode_cell,
    not_listed,
    rows_of,
    split_cells,
    unquote,
)
from cnnpipe.formats.via.decode import mend_surrogates
from cnnpipe.formats.via.records import ViaEntry, ViaFile, ViaRegion
from cnnpipe.formats.via.via3_attributes import Via3Attributes, attributes_of, parse_via3_attributes
from cnnpipe.formats.via.via3_metadata import (
    LeftOut,
    Metadata,
    count_left_out,
    describe_left_out,
    medium_of,
    read_picture,
)

_COLUMNS: Final = re.compile(r'#?\s*(?:CSV_HEADER\s*=\s*)?"*(metadata_id\s*"*[,;\t].*)', re.IGNORECASE)
_ATTRIBUTES: Final = re.compile(r"#\s*ATTRIBUTE\s*=")
_FIX: Final = "correct it, or save the project in VIA 3 and use that"
_MISSING: Final = ("", "undefined", "null", "NaN")


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    separator: str
    places: Mapping[str, int]  # of each column, from 0
    attributes: Via3Attributes
    is_temporal: bool  # without shapes
    findings: tuple[Finding, ...]


class _Noticed(msgspec.Struct, frozen=True, kw_only=True):
    undefined: list[int]  # lines
    several: list[int]  # lines of views of several files
    malformed: list[Finding]


def read_via3_csv(text: bytes, *, where: str) -> ViaFile:
    """Return the pictures in the CSV with this text; `where` is its name, for findings.

    The key of an entry is its file name. The CSV of time segments tells regions and pictures apart by
    nothing: there each row of a picture becomes a region without a shape.

    Raises:
        AnnotationError: no line names the columns.
    """
    head, rows = _parse_head(rows_of(text), where)
    noticed = _Noticed(undefined=[], several=[], malformed=[])
    files = _group(rows, head, noticed, where)
    left_out = LeftOut(names={"video": [], "sound": []}, rows=Counter())
    read = []
    for filename in list(files):
        of_file = files.pop(filename)
        medium = medium_of(filename, is_timed=any(row.time not in (None, []) for row in of_file))
        if medium != "image":
            left_out.names[medium].append(filename)
            count_left_out(of_file, left_out)
        elif head.is_temporal:
            read.append(_without_shapes(filename, of_file, head.attributes, left_out))
        else:
            read.append(read_picture(filename, filename, of_file, head.attributes, left_out))
    return ViaFile(
        kind="via3-csv",
        version="3",
        entries=tuple(entry for entry, _ in read),
        attributes=head.attributes.declared,
        image_order=tuple(entry.key for entry, _ in read),
        findings=(
            *head.findings,
            *noticed.malformed,
            *_describe(noticed, where),
            *describe_left_out(left_out, where),
        ),
        num_images=len(read),
        num_regions=sum(num_regions for _, num_regions in read),
    )


def _parse_head(rows: Iterator[Row], where: str) -> tuple[_Head, Iterator[Row]]:
    """Read the comments up to the columns; Excel quotes them and puts separators behind them."""
    declared: Any = {}
    findings: list[Finding] = []
    for row in rows:
        line = _plain(row.text)
        columns = _COLUMNS.match(line)
        if columns is not None:
            return _head(columns[1], declared, findings, where), rows
        if not line.startswith("#"):
            break
        if _ATTRIBUTES.match(line):
            declared = _parse_declared(line)
            if declared is None:
                what = f"line {row.line}: `# ATTRIBUTE` is damaged; attributes are called by their numbers"
                findings.append(found("file-repaired", where, what, _FIX))
    what = "no line `# CSV_HEADER = metadata_id,...` names the columns"
    raise AnnotationError(where, what, "export the annotations from VIA 3 again, or save the project")


def _plain(text: str) -> str:
    bare = text.strip(",;\t ")
    return unquote(bare) if bare.startswith('"#') else bare


def _parse_declared(line: str) -> Any:
    """Return the JSON object behind `# ATTRIBUTE =`, whatever stands after it; None: it is damaged."""
    mended, _ = mend_surrogates(line[line.index("=") + 1 :].lstrip().encode())
    text = mended.decode()
    for each in (text, text.replace('""', '"')):
        try:
            value, _ = json.JSONDecoder().raw_decode(each)
        except (ValueError, RecursionError):
            continue
        return value
    return None


def _head(columns: str, declared: Any, findings: Sequence[Finding], where: str) -> _Head:
    separator = next(each for each in columns if each in SEPARATORS)
    names = [unquote(cell).strip(' "').lower() for cell in split_cells(columns, separator)]
    attributes = parse_via3_attributes(declared, where=where)
    is_temporal = "spatial_coordinates" not in names
    unsafe = []
    if is_temporal:
        what = "an export of time segments: the coordinates of regions are not in it"
        unsafe.append(found("file-unsafe", where, what, "use the project of VIA 3, or its other CSV"))
    return _Head(
        separator=separator,
        places={name: place for place, name in enumerate(names) if name},
        attributes=attributes,
        is_temporal=is_temporal,
        findings=(*unsafe, *findings, *attributes.findings),
    )


def _group(rows: Iterator[Row], head: _Head, noticed: _Noticed, where: str) -> dict[str, list[Metadata]]:
    """Return the rows of each file, by the first that a row names."""
    files: dict[str, list[Metadata]] = {}
    num_malformed = 0
    for row in rows:
        if row.text.lstrip('" ').startswith("# "):
            continue
        try:
            filename, metadata = _parse_row(row, head, noticed)
        except ValueError as error:
            num_malformed += 1
            if num_malformed <= MOST_LISTED:
                at = f"{where}: line {row.line}"
                noticed.malformed.append(found("entry-unreadable", at, str(error), _FIX))
        else:
            files.setdefault(filename, []).append(metadata)
    noticed.malformed.extend(not_listed(num_malformed, "rows", where))
    return files


def _parse_row(row: Row, head: _Head, noticed: _Noticed) -> tuple[str, Metadata]:
    cells = split_cells(row.text, head.separator)
    width = max(head.places.values()) + 1
    if len(cells) < width:
        raise ValueError(f"the row ends after {len(cells)} of {width} cells")
    named = {name: cells[place] for name, place in head.places.items()}
    listed = _decode(named.get("file_list", ""), row, noticed)
    listed = listed if isinstance(listed, list) else [listed]  # a name by itself, after hand edits
    names = [each for each in listed if isinstance(each, str) and each.strip()]
    if not names:
        raise ValueError("the row names no file")
    if len(names) > 1:
        noticed.several.append(row.line)
    metadata = Metadata(
        name=f"line {row.line}",
        time=_time(named, row, noticed),
        shape=_decode_or_text(named.get("spatial_coordinates", ""), row, noticed),
        attributes=_decode_or_text(named.get("metadata", ""), row, noticed),
    )
    return names[0], metadata


def _time(named: Mapping[str, str], row: Row, noticed: _Noticed) -> Any:
    if "temporal_coordinates" in named:
        return _decode(named["temporal_coordinates"], row, noticed)
    ends = (named.get("temporal_segment_start", ""), named.get("temporal_segment_end", ""))
    return [unquote(each) for each in ends if unquote(each) not in _MISSING]


def _decode(cell: str, row: Row, noticed: _Noticed) -> Any:
    decoded = decode_cell(cell)
    if "undefined" in decoded.repairs:
        noticed.undefined.append(row.line)
    return decoded.value


def _decode_or_text(cell: str, row: Row, noticed: _Noticed) -> Any:
    """Return the value of a cell; its text where it is not JSON, which makes a finding where it is used."""
    try:
        return _decode(cell, row, noticed)
    except ValueError:
        return unquote(cell)


def _without_shapes(
    filename: str, rows: Sequence[Metadata], attributes: Via3Attributes, left_out: LeftOut
) -> tuple[ViaEntry, int]:
    regions, findings = [], []
    count_left_out([row for row in rows if row.time], left_out)
    for number, row in enumerate(row for row in rows if not row.time):
        try:
            values = attributes_of(row.attributes, attributes)
            regions.append(ViaRegion(number=number, shape=None, attributes=values))
        except ValueError as error:
            what = f"{row.name}: {error}"
            findings.append(found("region-unreadable", filename, what, _FIX, region=number))
    entry = ViaEntry(
        key=filename,
        filename=filename,
        size_bytes=None,
        regions=tuple(regions),
        file_attributes={},
        findings=tuple(findings),
    )
    return entry, len(regions) + len(findings)


def _describe(noticed: _Noticed, where: str) -> Iterator[Finding]:
    fix = "nothing to do here; save the project in VIA 3 and use that"
    if noticed.undefined:
        times = f"{len(noticed.undefined)} times, first in line {noticed.undefined[0]}"
        what = f"`undefined` is read as missing ({times})"
        yield found("file-repaired", where, what, fix)
    if noticed.several:
        what = f"{len(noticed.several)} rows are of several files, the first in line {noticed.several[0]}; "
        what += "they count for the first file"
        yield found("file-repaired", where, what, "annotate each picture in a view of its own")
