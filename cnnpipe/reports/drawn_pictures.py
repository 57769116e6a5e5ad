"""A picture with what a network found in it: boxes, each with its class and score, as JPEG.

A small picture is enlarged until the text beside its boxes can be read, so a drawn picture need not have the
size of its original; lines and letters grow with large ones, which a screen shows reduced.
"""

import io
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from cnnpipe.geometry.boxes import Box
from cnnpipe.reports.figures import CYCLE
from cnnpipe.reports.lettering import drawable, font_of, shortened

_SMALLEST_PX: Final = 480  # longer side of a drawn picture
_LARGEST_PX: Final = 20_000  # JPEG holds 65,535, but few programs show as much
_ROOM: Final = (12, 2)  # heights of a letter, at least, for the text on very narrow or very low pictures
_PAPER: Final = (255, 255, 255)
_LETTERS_PER_SIDE: Final = 70  # heights of a letter in the longer side
_SMALLEST_FONT_PX: Final = 13
_JPEG_QUALITY: Final = 88


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to draw."""

    text: str
    colour: int  # a number that the class keeps; colours come round again
    box: Box | None = None  # pixels of the picture; None: the text is about the whole picture


def draw_marks(picture_HWC: NDArray[np.uint8], marks: Sequence[Mark]) -> bytes:
    """Return the picture with its marks as a JPEG.

    Args:
        picture_HWC: RGB or one channel.
        marks: the first is drawn last, on top of the others.
    """
    drawn, scale = _canvas(picture_HWC)
    draw = ImageDraw.Draw(drawn)
    font = font_of(_font_px(drawn))
    for mark in reversed(marks):
        _draw_mark(draw, mark, font, scale=scale, size=drawn.size)
    file = io.BytesIO()
    drawn.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _canvas(picture_HWC: NDArray[np.uint8]) -> tuple[Image.Image, float]:
    """Return the picture as it is drawn on, and how much larger than its original it is."""
    grey_or_rgb = picture_HWC[:, :, 0] if picture_HWC.shape[2] == 1 else picture_HWC
    picture = Image.fromarray(grey_or_rgb).convert("RGB")
    longer = max(picture.size)
    scale = min(max(1.0, _SMALLEST_PX / longer), _LARGEST_PX / longer)
    if scale != 1.0:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    font_px = _font_px(picture)
    room = (max(picture.width, _ROOM[0] * font_px), max(picture.height, _ROOM[1] * font_px))
    if room == picture.size:
        return picture, scale
    canvas = Image.new("RGB", room, _PAPER)
    canvas.paste(picture)
    return canvas, scale


def _font_px(drawn: Image.Image) -> int:
    return max(_SMALLEST_FONT_PX, round(max(drawn.size) / _LETTERS_PER_SIDE))


def _draw_mark(
    draw: ImageDraw.ImageDraw,
    mark: Mark,
    font: ImageFont.FreeTypeFont,
    *,
    scale: float,
    size: tuple[int, int],
) -> None:
    colour = ImageColor.getrgb(CYCLE[mark.colour % len(CYCLE)])[:3]
    pad = max(1, int(font.size) // 6)
    text = shortened(drawable(mark.text), font, width=size[0] - 2 * pad)
    tag = (round(font.getlength(text)) + 2 * pad, sum(font.getmetrics()) + pad)
    x, y = 0.0, 0.0
    if mark.box is not None:
        x, y = mark.box.x_min * scale, mark.box.y_min * scale
        corner = (mark.box.x_max * scale - 1, mark.box.y_max * scale - 1)
        draw.rectangle((x, y, max(x, corner[0]), max(y, corner[1])), outline=colour, width=pad)
        y -= tag[1]  # above the box, where there is room
    x, y = max(0.0, min(x, size[0] - tag[0])), max(0.0, min(y, size[1] - tag[1]))
    draw.rectangle((x, y, x + tag[0] - 1, y + tag[1] - 1), fill=colour)
    draw.text((x + pad, y + pad / 2), text, fill=_ink_on(colour), font=font)


def _ink_on(colour: tuple[int, ...]) -> tuple[int, int, int]:
    """Return black or white, whichever stands out more. Source: the luma of ITU-R BT.601."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
