"""Annotations CSV of VIA 1 (its header begins with #) and VIA 2: one row per region.

Source: `pack_via_metadata` and `import_annotations_from_csv` of via-2.x.y/src/via.js (2.0.11), and
`pack_via_metadata` of via-1.x.y/via.js (1.0.6).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.annotations_json import parse_size
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
from cnnpipe.formats.via.long_outlines import read_long_shape
from cnnpipe.formats.via.records import ViaEntry, ViaFile, ViaRegion
from cnnpipe.formats.via.regions import open_outline, parse_attributes, parse_shape, unknown_fields
from cnnpipe.geometry.shapes import Polygon, Polyline, Shape

_HEADER: Final = (
    "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
)
# region_count and region_id are not read: hand edits leave them wrong, and VIA does not look at them
_NEEDED: Final = ("filename", "file_size", "file_attributes", "region_shape_attributes", "region_attributes")
_SIZE: Final = re.compile(r'\s*"?\s*(-?[0-9]+(\.[0-9]*)?)?\s*"?\s*')
_OBJECT: Final = re.compile(r'\s*"?\s*([{\[]|"?\s*$)')
_FIX: Final = "correct it, or export the annotations from VIA again, as JSON"
_REPAIRS: Final[Mapping[str, str]] = {
    "header": "the header is not as VIA writes it; its columns are told by their names",
    "undefined": "`undefined` stands where nothing was chosen; it is read as missing",
    "surrogate": "half of a surrogate pair stands in a text; it is read as \ufffd",
    "name": "a file name holds the separator of the cells; its parts are joined",
    "empty": "empty cells stand behind the last column; they are passed over",
}


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    separator: str
    places: Mapping[str, int]  # of each column, from 0
    width: int  # columns
    line: int
    version: str
    is_exact: bool  # to the letter: VIA reads no other


class _Region(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of one row that say something of its picture, still as text."""

    line: int
    file_attributes: str
    shape: str
    attributes: str


class _Noticed(msgspec.Struct, frozen=True, kw_only=True):
    repairs: list[tuple[str, int]] = []  # kind and line
    unknown: list[str] = []  # names of fields that are not VIA's


def read_annotations_csv(text: bytes, *, where: str) -> ViaFile:
    """Return the file with this text; `where` is its name, for findings.

    Rows are grouped by file name and size, wherever they stand. A row that cannot be read is a finding.

    Raises:
        AnnotationError: the first row does not name the columns.
    """
    rows = rows_of(text)
    header = _parse_header(rows, where)
    noticed = _Noticed()
    if not header.is_exact:
        noticed.repairs.append(("header", header.line))
    pictures, malformed = _group(rows, header, noticed, where)
    read = [
        _read_picture(filename, size, pictures.pop((filename, size)), noticed)
        for filename, size in list(pictures)
    ]
    entries = tuple(entry for entry, _ in read)
    return ViaFile(
        kind="annotations-csv",
        version=header.version,
        entries=entries,
        attributes={"region": {}, "file": {}},  # only a project declares them
        image_order=tuple(entry.key for entry in entries),
        findings=(*malformed, *_describe(noticed, where), *_nothing(entries, where)),
        num_images=len(entries),
        num_regions=sum(num_regions for _, num_regions in read),
    )


def _parse_header(rows: Iterator[Row], where: str) -> _Header:
    row = next(rows, Row(1, ""))
    if re.fullmatch("sep=.?", row.text.strip()):  # a hint for Excel
        row = next(rows, row)
    for separator in SEPARATORS:
        cells = [unquote(cell).strip().lower() for cell in split_cells(row.text, separator)]
        names = [cell.removeprefix("#").strip() for cell in cells]
        if set(_NEEDED) <= set(names):
            return _header(row, separator, names)
    what = "the first row does not name the columns of VIA's CSV"
    raise AnnotationError(f"{where}: line {row.line}", what, f"put this row first: {_HEADER}")


def _header(row: Row, separator: str, names: Sequence[str]) -> _Header:
    named = [name for name in names if name]
    return _Header(
        separator=separator,
        places={name: place for place, name in reversed(list(enumerate(names))) if name},
        width=len(named) if list(names[: len(named)]) == named else len(names),
        line=row.line,
        version="1" if row.text.lstrip(' "').startswith("#") else "2",
        is_exact=row.text.removeprefix("#") == _HEADER,
    )


def _group(
    rows: Iterable[Row], header: _Header, noticed: _Noticed, where: str
) -> tuple[dict[tuple[str, str], list[_Region]], list[Finding]]:
    """Return the rows of each picture, and a finding for each row that names none."""
    pictures: dict[tuple[str, str], list[_Region]] = defaultdict(list)
    malformed: list[Finding] = []
    num_malformed = 0
    for row in rows:
        try:
            cells = _cells(row, header, noticed)
        except ValueError as error:
            if len(malformed) < MOST_LISTED:
                malformed.append(found("entry-unreadable", f"{where}: line {row.line}", str(error), _FIX))
            num_malformed += 1
            continue
        _, _, file_attributes, shape, attributes = cells
        region = _Region(line=row.line, file_attributes=file_attributes, shape=shape, attributes=attributes)
        pictures[_name(cells[0]), unquote(cells[1])].append(region)
    return dict(pictures), [*malformed, *not_listed(num_malformed, "rows", where)]


def _cells(row: Row, header: _Header, noticed: _Noticed) -> list[str]:
    """Return the needed cells of a row, in the order of their names above.

    Raises:
        ValueError: too few or too many, or no file name.
    """
    cells = split_cells(row.text, header.separator)
    if len(cells) < header.width:
        raise ValueError(f"the row ends after {len(cells)} of {header.width} cells")
    if len(cells) > header.width:
        cells, repair = _shorten(cells, header)
        noticed.repairs.append((repair, row.line))
    needed = [cells[header.places[name]] for name in _NEEDED]
    if not _name(needed[0]).strip():
        raise ValueError("the row names no picture")
    return needed


def _shorten(cells: list[str], header: _Header) -> tuple[list[str], str]:
    """Return as many cells as there are columns: a name with separators in it made several of one.

    The name ends before the first cell that can be a size and has an object behind it.
    """
    if (header.places["filename"], header.places["file_size"], header.places["file_attributes"]) == (0, 1, 2):
        for num_more in range(len(cells) - header.width + 1):
            size, attributes = cells[num_more + 1], cells[num_more + 2]
            if _SIZE.fullmatch(size) and _OBJECT.match(attributes):
                rest = cells[num_more + header.width :]
                if any(cell.strip(' "') for cell in rest):
                    break
                name = header.separator.join(cells[: num_more + 1])
                joined = [name, *cells[num_more + 1 : num_more + header.width]]
                return joined, "name" if num_more else "empty"
    raise ValueError(f"the row has {len(cells)} cells, the header {header.width}")


def _name(cell: str) -> str:
    is_quoted = len(cell) >= 2 and cell[0] == '"' == cell[-1]
    return unquote(cell) if is_quoted else cell  # blanks may belong to a name


def _read_picture(
    filename: str, size: str, rows: Sequence[_Region], noticed: _Noticed
) -> tuple[ViaEntry, int]:
    """Return the entry of one picture, and how many regions the file holds of it."""
    file_attributes, findings = _read_file_attributes(filename, rows, noticed)
    regions: list[ViaRegion] = []
    number = 0
    for row in rows:
        try:
            region = _read_region(number, row, noticed)
        except ValueError as error:
            what = f"line {row.line}: {error}"
            findings.append(found("region-unreadable", filename, what, _FIX, region=number))
        else:
            if region is None:
                continue
            regions.append(region)
        number += 1
    entry = ViaEntry(
        key=filename + size,  # as VIA makes it
        filename=filename,
        size_bytes=parse_size(size.partition(".")[0]),
        regions=tuple(regions),
        file_attributes=file_attributes,
        findings=tuple(findings),
    )
    return entry, number


def _read_region(number: int, row: _Region, noticed: _Noticed) -> ViaRegion | None:
    """Return the region of a row; None: it stands there for its picture alone.

    Raises:
        ValueError: a cell is no object, or its shape none of VIA's.
    """
    attributes = _read_object(row.attributes, row.line, noticed)
    shape = _read_clean_shape(row.shape)
    if shape is None:
        fields = _read_object(row.shape, row.line, noticed)
        if not fields and not attributes:
            return None
        noticed.unknown.extend(unknown_fields({"shape_attributes": fields}))
        shape = parse_shape(fields) if fields else None
    return ViaRegion(number=number, shape=shape, attributes=attributes)


def _read_clean_shape(cell: str) -> Shape | None:
    """Return a shape exactly as VIA writes it, decoded by its type; None: it is to be read field by field."""
    try:
        shape = read_long_shape(msgspec.Raw(unquote(cell).encode()))
        return open_outline(shape) if isinstance(shape, Polygon | Polyline) else shape
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def _read_object(cell: str, line: int, noticed: _Noticed) -> dict[str, Any]:
    decoded = decode_cell(cell)
    noticed.repairs.extend((repair, line) for repair in decoded.repairs)
    return parse_attributes(decoded.value)


def _read_file_attributes(
    filename: str, rows: Sequence[_Region], noticed: _Noticed
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the attributes of the picture: all its rows repeat them; where they differ, the first counts."""
    attributes: dict[str, Any] = {}
    findings: list[Finding] = []
    contested: dict[str, int] = {}  # name to the line that says otherwise
    lines = {row.file_attributes: row.line for row in reversed(rows)}  # of the first that has these
    for cell in reversed(lines):
        try:
            more = _read_object(cell, lines[cell], noticed)
        except ValueError as error:
            what = f"line {lines[cell]}: {error}"
            findings.append(found("entry-unreadable", filename, what, _FIX))
            continue
        for name, value in more.items():
            if attributes.setdefault(name, value) != value:
                contested.setdefault(name, lines[cell])
    for name, line in contested.items():
        what = f"line {line} gives its file attribute {name!r} another value; that of the first row is kept"
        findings.append(found("attribute-conflict", filename, what, "give all its rows the same value"))
    return attributes, findings


def _describe(noticed: _Noticed, where: str) -> Iterator[Finding]:
    for kind, what in _REPAIRS.items():
        lines = [line for each, line in noticed.repairs if each == kind]
        if lines:
            times = f"{len(lines)} times, first in" if len(lines) > 1 else "in"
            fix = "nothing to do here; VIA itself may not read this file: let it be written again"
            yield found("file-repaired", where, f"{what} ({times} line {min(lines)})", fix)
    for name, count in sorted(Counter(noticed.unknown).items()):
        what = f"the field {name!r} is not one of VIA's; it is passed over ({count} times)"
        yield found("field-unknown", where, what, "nothing to do, unless it is a misspelling")


def _nothing(entries: Sequence[ViaEntry], where: str) -> Iterator[Finding]:
    if not entries:
        yield found("file-empty", where, "names no picture", "export the annotations from VIA again")
