"""Pictures with the boxes of objects and detections, drawn by the reader's browser.

The picture is embedded once; boxes and names are SVG over it, so that lines stay thin on the smallest object
and names of any script are set in the reader's own fonts.
"""

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe.evaluation.detection_faults import Kind
from cnnpipe.geometry.boxes import Box
from cnnpipe.reports.figures import columns, printable
from cnnpipe.reports.thumbnails import thumbnail_uri

_WIDE_PX: Final = (
    485,
    440,
)  # largest width and height of a drawn picture where two panels stand side by side
_NARROW_PX: Final = (305, 320)  # where there are more
_FONT_PX: Final = 12.0
_NAMES_AT_MOST: Final = 30  # of one panel; more hide what they name
_EMBEDDED_PX: Final = 640  # longer side of the pixels in the page
_EMBEDDED_CHARACTERS: Final = 3_500_000  # of all pictures of a page

# colour and dashes, over a dark line: light enough for any picture, and told apart without colours as well
STROKES: Final = MappingProxyType(
    {
        "found": ("#4cc0ff", ""),
        "missed": ("#ff6a2b", "7 4"),
        "wrong class": ("#ff8fd2", "10 3 2 3"),
        "false alarm": ("#ffd633", "2 3"),
    }
)
MEANINGS: Final = MappingProxyType(
    {
        "found": "an object, and the detection that finds it",
        "missed": "an object that nothing finds",
        "wrong class": "an object, and the detection that takes it for another class",
        "false alarm": "a detection where no object is left to find",
    }
)


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """A box to draw."""

    kind: Kind
    label: str
    box: Box  # xyxy, pixels of the picture as it was annotated
    score: float | None = None  # None: of the truth
    truth: str | None = None  # what it is, where the label is another


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A box as the page shows it; all numbers are pixels of the picture as it was annotated."""

    colour: str
    dashes: str
    left: float
    top: float
    width: float
    height: float
    told: str  # everything about it
    name: str  # beside it, or ""
    name_x: float  # its left end, at the base of its letters
    name_y: float


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A picture with boxes over it."""

    heading: str
    boxes: list[Drawn]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One picture in several panels."""

    title: str
    said: str  # what is wrong with it, in words
    picture: str  # `data:` address
    width: int  # pixels of the picture as it was annotated
    height: int
    shown_width: int  # of a panel, pixels of the page
    shown_height: int
    font_size: float  # pixels of the picture
    panels: list[Panel]


def draw_scene(
    picture: NDArray[np.uint8],
    panels: Iterable[tuple[str, Sequence[Marked]]],
    *,
    title: str,
    said: str,
    size: tuple[int, int],
) -> Scene:
    """Return a picture with one panel per heading.

    Args:
        picture: (H, W, C) uint8, of any size in the proportions of the picture.
        panels: heading and boxes of each.
        title: the picture's image_id.
        said: a line about it.
        size: width and height of the picture as it was annotated, pixels.
    """
    (width, height), drawn = size, list(panels)
    room = _WIDE_PX if len(drawn) <= 2 else _NARROW_PX
    scale = min(room[0] / width, room[1] / height)
    font_size = _FONT_PX / scale
    return Scene(
        title=title,
        said=said,
        picture=thumbnail_uri(picture, max_side_px=_EMBEDDED_PX, quality=85),
        width=width,
        height=height,
        shown_width=max(1, round(width * scale)),
        shown_height=max(1, round(height * scale)),
        font_size=font_size,
        panels=[
            Panel(heading=heading, boxes=_drawn(marks, font_size=font_size, width=width))
            for heading, marks in drawn
        ],
    )


def that_fit(scenes: Iterable[Scene], *, limit: int) -> list[Scene]:
    """Return the first scenes, at most `limit`, and no more than a page can hold; of any, one at least."""
    chosen: list[Scene] = []
    size = 0
    for scene in scenes:
        size += len(scene.picture)
        if chosen and size > _EMBEDDED_CHARACTERS:
            break
        chosen.append(scene)
        if len(chosen) == limit:
            break
    return chosen


def _drawn(marks: Sequence[Marked], *, font_size: float, width: int) -> list[Drawn]:
    """Return the boxes, found ones first, so that faults lie above them."""
    faults = [mark for mark in marks if mark.kind != "found"]
    in_order = [mark for mark in marks if mark.kind == "found"] + faults
    named = in_order if len(marks) <= _NAMES_AT_MOST else faults if len(faults) <= _NAMES_AT_MOST else []
    is_named = {id(mark) for mark in named}
    taken: list[Box] = []
    drawn = []
    for mark in in_order:
        name = _name(mark) if id(mark) in is_named else ""
        place = _free_place(mark.box, name, taken, font_size=font_size, width=width)
        if name:
            taken.append(place)
        drawn.append(_one(mark, name, place, font_size=font_size))
    return drawn


def _name(mark: Marked) -> str:
    score = "" if mark.score is None else f" {mark.score:.2f}"
    return f"{printable(mark.label, limit=24)}{score}"


def _free_place(box: Box, name: str, taken: Sequence[Box], *, font_size: float, width: int) -> Box:
    """Return where the name stands: above the box, below it, or inside; of these, where no other name is."""
    length, line = max(1, columns(name)) * 0.6 * font_size, 1.2 * font_size
    left = max(0.0, min(box.x_min, width - length))
    tops = [box.y_min - line, box.y_max, box.y_min, box.y_max - line, box.y_min + line]
    inside = [top for top in tops if top >= 0] or [0.0]
    places = [Box(left, top, left + length, top + line) for top in inside]
    return next((place for place in places if not any(_meet(place, other) for other in taken)), places[0])


def _meet(box: Box, other: Box) -> bool:
    return (
        box.x_min < other.x_max
        and other.x_min < box.x_max
        and box.y_min < other.y_max
        and other.y_min < box.y_max
    )


def _one(mark: Marked, name: str, place: Box, *, font_size: float) -> Drawn:
    colour, dashes = STROKES[mark.kind]
    score = "" if mark.score is None else f" {mark.score:.2f}"
    truth = f", in truth {printable(mark.truth, limit=80)}" if mark.truth else ""
    return Drawn(
        colour=colour,
        dashes=dashes,
        left=round(mark.box.x_min, 2),
        top=round(mark.box.y_min, 2),
        width=round(mark.box.width, 2),
        height=round(mark.box.height, 2),
        told=f"{mark.kind}: {printable(mark.label, limit=80)}{score}{truth}",
        name=name,
        name_x=round(place.x_min, 2),
        name_y=round(place.y_max - 0.3 * font_size, 2),
    )
