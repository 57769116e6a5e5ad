"""The report of stage `validate`: report.json, and report.html with pictures of each kind of finding."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnnpipe.annotations import SEVERITIES, Finding, Picture
from cnnpipe.errors import DataError
from cnnpipe.files import write_json, write_text
from cnnpipe.formats.pictures import read_picture
from cnnpipe.geometry.shapes import Point, Shape, shape_to_outline
from cnnpipe.reports.environment import page_environment
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.reports.validation_summary import CodeSummary, Summary

_MOST_PLACES: Final = 100  # per code, in the files
_MOST_PICTURES: Final = 4  # per code, in the page
_SIDE_PX: Final = 280  # of a picture in the page
_PAPER: Final = (238, 241, 244)
_INK: Final = (214, 40, 40)

Shapes = Mapping[tuple[str, int], Shape | None]  # by image_id and number of region


class Sight(msgspec.Struct, frozen=True):
    """A finding and its picture, as a `data:` address; beside it the other one, where it is about two."""

    finding: Finding
    pictures: Sequence[str]  # none, where they went away


class _Section(msgspec.Struct, frozen=True):
    """What the page says of one code."""

    code: CodeSummary
    sights: Sequence[Sight]


def write_report(
    folder: Path, summary: Summary, pictures: Sequence[Picture], shapes: Shapes, raw_dir: Path
) -> None:
    """Write report.json and report.html to `folder`.

    Args:
        folder: it exists.
        summary: all findings; the files hold the first of each code.
        pictures: as ingested.
        shapes: of all regions; None for a region without one.
        raw_dir: where the pictures are, by their image_id.
    """
    short = [msgspec.structs.replace(code, places=code.places[:_MOST_PLACES]) for code in summary.findings]
    summary = msgspec.structs.replace(summary, findings=short)
    write_json(folder / "report.json", summary)
    known = {picture.image_id: picture for picture in pictures}
    sections = [
        _Section(code, [see(each, known, shapes, raw_dir) for each in shown_findings(code.places, known)])
        for severity in SEVERITIES
        for code in summary.findings
        if code.severity == severity and code.count
    ]
    environment = page_environment()
    page = environment.get_template("validation.html").render(summary=summary, sections=sections)
    write_text(folder / "report.html", page)


def shown_findings(places: Sequence[Finding], known: Mapping[str, Picture]) -> list[Finding]:
    """Return the findings to be shown: the first on each of the first pictures."""
    first_of: dict[str, Finding] = {}
    for finding in places:
        if finding.where in known:
            first_of.setdefault(finding.where, finding)
    return list(islice(first_of.values(), _MOST_PICTURES))


def see(finding: Finding, known: Mapping[str, Picture], shapes: Shapes, raw_dir: Path) -> Sight:
    """Return a finding with its picture, and with the other one where it is about two."""
    shape = None if finding.region is None else shapes.get((finding.where, finding.region))
    drawn = [_draw(known[finding.where], shape, raw_dir)]
    if finding.other is not None and finding.other in known:
        drawn.append(_draw(known[finding.other], None, raw_dir))
    return Sight(finding, [picture for picture in drawn if picture])


def _draw(picture: Picture, shape: Shape | None, raw_dir: Path) -> str:
    """Return a picture with a region, on a margin where the region leaves it; "" where it went away."""
    try:
        pixels = read_picture(
            raw_dir / picture.image_id, channels=3, max_pixels=picture.width * picture.height
        )
    except DataError:
        return ""
    points = _points(shape)
    left, top, right, bottom = _margins(points, picture.width, picture.height)
    scale = _SIDE_PX / max(picture.width + left + right, picture.height + top + bottom)
    size = (
        round((picture.width + left + right) * scale) or 1,
        round((picture.height + top + bottom) * scale) or 1,
    )
    canvas = Image.new("RGB", size, _PAPER)
    inner = (round(picture.width * scale) or 1, round(picture.height * scale) or 1)
    canvas.paste(
        Image.fromarray(pixels).resize(inner, Image.Resampling.BOX), (round(left * scale), round(top * scale))
    )
    if points is not None:
        _draw_outline(ImageDraw.Draw(canvas), (points + np.array([left, top])) * scale)
    return thumbnail_uri(np.asarray(canvas), max_side_px=_SIDE_PX)


def _points(shape: Shape | None) -> NDArray[np.float64] | None:
    """Return what can be drawn of a shape, (N, 2) xy pixels, even where it has no area."""
    match shape:
        case None:
            return None
        case Point(cx, cy):
            return np.array([(cx, cy)])
        case _:
            outline = shape_to_outline(shape)
            if outline is None:
                xs, ys = getattr(shape, "all_points_x", ()), getattr(shape, "all_points_y", ())
                outline = np.array([xs, ys], dtype=np.float64).T
            return outline if len(outline) else None


def _margins(
    points: NDArray[np.float64] | None, width: int, height: int
) -> tuple[float, float, float, float]:
    """Return the margins (left, top, right, bottom) that show the points, at most half the picture each."""
    if points is None:
        return 0.0, 0.0, 0.0, 0.0
    (x_min, y_min), (x_max, y_max) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    most_x, most_y = width / 2, height / 2
    return (
        min(max(-x_min, 0.0), most_x),
        min(max(-y_min, 0.0), most_y),
        min(max(x_max - width, 0.0), most_x),
        min(max(y_max - height, 0.0), most_y),
    )


def _draw_outline(draw: ImageDraw.ImageDraw, points: NDArray[np.float64]) -> None:
    # far beyond the canvas nothing is seen, and Pillow's integers end
    corners = [(x, y) for x, y in points.clip(-10 * _SIDE_PX, 10 * _SIDE_PX).tolist()]
    draw.line([*corners, corners[0]], fill=_INK, width=2)
    if np.ptp(points, axis=0).max() < 8:  # too small to be seen: a ring around it
        x, y = corners[0]
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), outline=_INK, width=2)
