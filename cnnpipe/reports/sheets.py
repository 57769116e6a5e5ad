"""Sheets of pictures in rows with a name each, drawn with Pillow."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnnpipe import files
from cnnpipe.reports.lettering import drawable, font_of, shortened

_INK: Final = (28, 39, 51)
_PAPER: Final = (255, 255, 255)
_EMPTY: Final = (238, 241, 244)
_FONT_PX: Final = 13
_LINE_PX: Final = 18
_GAP_PX: Final = 6
_NAME_PX: Final = 170  # width of the column of names
_JPEG_QUALITY: Final = 88


class SheetRow(msgspec.Struct, frozen=True, eq=False):
    """A row of a sheet: lines of text, then one picture (H, W, C) uint8 per column; None leaves a gap."""

    lines: Sequence[str]
    pictures: Sequence[NDArray[np.uint8] | None]


def write_sheet(
    path: Path, rows: Sequence[SheetRow], *, caption: Sequence[str], columns: Sequence[str], cell_px: int
) -> None:
    """Draw the rows below a caption and the columns' names, and write them as JPEG or PNG.

    Args:
        path: ends in .png, or is of a JPEG; written whole.
        rows: each with at most as many pictures as there are columns.
        caption: lines above everything.
        columns: a name above each column of pictures.
        cell_px: side of the square that a picture is fitted into, in its proportions.
    """
    head_px = _LINE_PX * (len(caption) + 1) + 2 * _GAP_PX
    width = _NAME_PX + len(columns) * (cell_px + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, head_px + len(rows) * (cell_px + _GAP_PX)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(caption):
        _write_line(draw, line, x=_GAP_PX, y=_GAP_PX + number * _LINE_PX, width=width - 2 * _GAP_PX)
    for number, name in enumerate(columns):
        _write_line(draw, name, x=_cell_x(number, cell_px), y=head_px - _LINE_PX - _GAP_PX, width=cell_px)
    for number, row in enumerate(rows):
        y = head_px + number * (cell_px + _GAP_PX)
        for line_number, line in enumerate(row.lines):
            _write_line(draw, line, x=_GAP_PX, y=y + line_number * _LINE_PX, width=_NAME_PX - 2 * _GAP_PX)
        for column, picture in enumerate(row.pictures):
            _paste_picture(sheet, picture, x=_cell_x(column, cell_px), y=y, cell_px=cell_px)
    buffer = io.BytesIO()
    if path.suffix.lower() == ".png":
        sheet.save(buffer, "PNG")
    else:
        sheet.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    files.write_bytes(path, buffer.getvalue())


def _cell_x(column: int, cell_px: int) -> int:
    return _NAME_PX + column * (cell_px + _GAP_PX)


def _paste_picture(
    sheet: Image.Image, picture: NDArray[np.uint8] | None, *, x: int, y: int, cell_px: int
) -> None:
    if picture is None:
        return
    ImageDraw.Draw(sheet).rectangle((x, y, x + cell_px - 1, y + cell_px - 1), fill=_EMPTY)
    drawn = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).convert("RGB")
    scale = cell_px / max(drawn.size)
    size = (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale)))
    drawn = drawn.resize(size, Image.Resampling.BICUBIC)
    sheet.paste(drawn, (x + (cell_px - drawn.width) // 2, y + (cell_px - drawn.height) // 2))


def _write_line(draw: ImageDraw.ImageDraw, line: str, *, x: int, y: int, width: int) -> None:
    font = font_of(_FONT_PX)
    draw.text((x, y), shortened(drawable(line), font, width=width), fill=_INK, font=font)
