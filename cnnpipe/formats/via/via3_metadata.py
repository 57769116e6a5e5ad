"""The metadata of VIA 3: rows with a time, a shape and attribute values, to the entry of one picture.

Source: via-3.x.y/src/js/_via_metadata.js, `_metadata_pts_to_xy` of _via_file_annotator.js, and
`_via_util_infer_file_type_from_filename` of _via_util.js (3.0.10).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.records import ViaEntry, ViaRegion
from cnnpipe.formats.via.regions import parse_shape
from cnnpipe.formats.via.via3_attributes import Via3Attributes, attributes_of
from cnnpipe.geometry.shapes import ExtremeCircle, ExtremeRect, Line, Shape

Medium = Literal["image", "video", "sound"]
_FIX: Final = "draw the region again in VIA, or delete it there"
_VIDEOS: Final = ("ogv", "mp4", "avi", "webm", "mov", "mkv", "m4v", "mpg", "mpeg")
_SOUNDS: Final = ("mp3", "wav", "oga", "ogg", "flac", "m4a")
_PICTURES: Final = ("jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp")
_FEW: Final = 5  # names in a finding


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """One row: of a whole file, of a region, of a frame or of a segment of time."""

    name: str  # its id, or its line, for findings
    time: Any  # `z`: nothing, one moment, or a start and an end, in seconds
    shape: Any  # `xy`: nothing, or the number of a shape and its coordinates
    attributes: Any  # `av`: values by number of the attribute


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted but not read: VIA 3 annotates videos and sounds, too."""

    names: dict[str, list[str]]  # of files, by medium
    rows: Counter[str]


def medium_of(filename: str, *, is_timed: bool = False) -> Medium:
    """Return what a file is by its name, where nothing else says so.

    What has a time is a video, unless its name is that of a picture.
    """
    extension = filename.rpartition(".")[2].lower()
    if extension in _SOUNDS:
        return "sound"
    return "video" if extension in _VIDEOS or (is_timed and extension not in _PICTURES) else "image"


def read_picture(
    key: str, filename: str, rows: Sequence[Metadata], attributes: Via3Attributes, left_out: LeftOut
) -> tuple[ViaEntry, int]:
    """Return the entry of one picture, and how many regions the file holds of it."""
    regions: list[ViaRegion] = []
    file_attributes: dict[str, Any] = {}
    findings: list[Finding] = []
    number = 0
    for row in rows:
        if row.shape in (None, []):
            findings += _add_attributes(file_attributes, row, filename, attributes, left_out)
            continue
        try:
            shape, values = parse_xy(row.shape), attributes_of(row.attributes, attributes)
            regions.append(ViaRegion(number=number, shape=shape, attributes=values))
        except ValueError as error:
            what = f"{row.name}: {error}"
            findings.append(found("region-unreadable", filename, what, _FIX, region=number))
        number += 1
    entry = ViaEntry(
        key=key,
        filename=filename,
        size_bytes=None,
        regions=tuple(regions),
        file_attributes=file_attributes,
        findings=tuple(findings),
    )
    return entry, number


def parse_xy(value: Any) -> Shape:
    """Return the shape of `[number of the shape, coordinates...]`.

    Raises:
        ValueError: no such shape, too few or too many coordinates, or one that is no number.
    """
    if not isinstance(value, list) or not all(_is_number(each) for each in value):
        raise ValueError("its coordinates are not a list of finite numbers")
    shape_id, points = value[0], value[1:]
    if shape_id not in _SHAPES:
        raise ValueError(f"its shape has the number {shape_id}; VIA 3 knows 1 to {len(_SHAPES)}")
    name, num_points, to_shape = _SHAPES[shape_id]
    if len(points) % 2 if num_points is None else len(points) != num_points:
        needed = "an even number" if num_points is None else str(num_points)
        raise ValueError(f"its {name} has {len(points)} coordinates instead of {needed}")
    return to_shape(points)


def count_left_out(rows: Sequence[Metadata], left_out: LeftOut) -> None:
    """Count the rows of a file that is no picture."""
    for row in rows:
        if row.shape not in (None, []):
            left_out.rows["regions in frames"] += 1
        elif row.time not in (None, []):
            left_out.rows["segments of time"] += 1
        else:
            left_out.rows["attributes of files"] += 1


def describe_left_out(left_out: LeftOut, where: str) -> Iterator[Finding]:
    """Yield the one finding on videos, sounds and what is annotated in them."""
    files = [
        f"{medium}s: {len(names)} ({', '.join(names[:_FEW])}{', ...' if len(names) > _FEW else ''})"
        for medium, names in left_out.names.items()
        if names
    ]
    rows = [f"{kind}: {count}" for kind, count in left_out.rows.items() if count]
    if files or rows:
        what = f"only pictures are read; left out are {'; '.join(files + rows)}"
        yield found("media-left-out", where, what, "take frames out of the videos and annotate those")


def _add_attributes(
    known: dict[str, Any], row: Metadata, filename: str, attributes: Via3Attributes, left_out: LeftOut
) -> Iterator[Finding]:
    """Add what a row says of the whole picture; what an earlier one said stays."""
    if row.time not in (None, []):
        left_out.rows["segments of time"] += 1
        return
    try:
        values = attributes_of(row.attributes, attributes)
    except ValueError as error:
        yield found("entry-unreadable", filename, f"{row.name}: {error}", "set them again in VIA")
        return
    for name, value in values.items():
        if known.setdefault(name, value) != value:
            what = f"{row.name} gives its file attribute {name!r} another value; the first is kept"
            yield found("attribute-conflict", filename, what, "give it one value in VIA")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _plain(name: str, *fields: str) -> Callable[[list[float]], Shape]:
    return lambda points: parse_shape({"name": name, **dict(zip(fields, points, strict=True))})


def _outline(name: str) -> Callable[[list[float]], Shape]:
    return lambda points: parse_shape(
        {"name": name, "all_points_x": points[0::2], "all_points_y": points[1::2]}
    )


def _xs_ys(points: list[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    floats = [float(each) for each in points]
    return tuple(floats[0::2]), tuple(floats[1::2])


# name, how many coordinates (None: any), and how they become a shape
_SHAPES: Final[Mapping[float, tuple[str, int | None, Callable[[list[float]], Shape]]]] = {
    1: ("point", 2, _plain("point", "cx", "cy")),
    2: ("rectangle", 4, _plain("rect", "x", "y", "width", "height")),
    3: ("circle", 3, _plain("circle", "cx", "cy", "r")),
    4: ("ellipse", 4, _plain("ellipse", "cx", "cy", "rx", "ry")),
    5: ("line", 4, lambda points: Line(*(float(each) for each in points))),
    6: ("polyline", None, _outline("polyline")),
    7: ("polygon", None, _outline("polygon")),
    8: ("extreme rectangle", 8, lambda points: ExtremeRect(*_xs_ys(points))),
    9: ("extreme circle", 6, lambda points: ExtremeCircle(*_xs_ys(points))),
}
