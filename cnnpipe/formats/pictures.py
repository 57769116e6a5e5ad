"""Pictures of any form to RGB or grey, upright, 8 bits: the one place that decodes them.

The rules, by the form in which Pillow holds the stored picture:

- 1 bit: black is 0, white 255. Grey (L) and RGB: as they are. CMYK, YCbCr, HSV: as Pillow
  converts them to RGB; an ICC profile is not applied.
- Palette: its colours. Where a palette, grey or RGB names a transparent colour: as RGBA.
- RGBA, LA, PA: laid over white. Cut-outs are drawn to be seen on a page; and the colour stored
  under full transparency is arbitrary, often black, and must not show.
- 16 bits (I;16 in either byte order): 65535 becomes 255, by rounding, never by clipping. Pillow's
  own conversion cuts at 255 and turns such pictures white. 16-bit RGB is read by Pillow as its
  high bytes.
- 32-bit integers (I): as 16 bits, for that is what they mostly hold; with values beyond 0 to
  65535, the smallest becomes 0 and the largest 255.
- Floats (F): the smallest of 1, 255 and 65535 that no value exceeds becomes 255; with negative
  or larger values, the smallest becomes 0 and the largest 255. What is not a number becomes 0.
- One channel from colour: ITU-R 601-2 luma, as Pillow's "L".
- Of several frames, the first. Turned upright by the EXIF orientation, as browsers show it.
"""

import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cnnpipe.errors import DataError

# Source: Exif 2.3, tag 0x0112 (Orientation): what turns the stored picture upright.
_TURNS: Final = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
_ORIENTATION_TAG: Final = 0x0112
_SWAPPING: Final = (5, 6, 7, 8)  # orientations that swap width and height
# What Pillow's decoders raise on broken bytes, from a corpus of cut and changed files.
_BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class DecodedPicture(NamedTuple):
    """A decoded picture and how it was stored."""

    pixels: NDArray[np.uint8]  # HWC, RGB or one channel, upright
    mode: str  # Pillow's name of the stored form
    exif_orientation: int  # 1 to 8; 1 is upright


class PictureHeader(NamedTuple):
    """What a picture says of itself before its pixels."""

    width: int  # pixels, upright
    height: int
    mode: str  # Pillow's name of the stored form
    exif_orientation: int  # 1 to 8; 1 is upright


def read_picture(path: Path, *, channels: Literal[1, 3], max_pixels: int) -> NDArray[np.uint8]:
    """Return the picture at `path` by the rules above, HWC uint8, upright.

    Raises:
        DataError: missing, unreadable, cut off, or of more than `max_pixels`.
    """
    return decode_picture(path, channels=channels, max_pixels=max_pixels).pixels


def decode_picture(path: Path, *, channels: Literal[1, 3], max_pixels: int) -> DecodedPicture:
    """Return the picture at `path` by the rules above, and how it was stored.

    Args:
        path: a picture of any format that Pillow reads.
        channels: 3 for RGB, 1 for grey.
        max_pixels: a picture whose header promises more is refused before it is decoded.

    Raises:
        DataError: missing, unreadable, cut off, or of more than `max_pixels`.
    """
    with _unlimited_and_silent_pillow():
        try:
            with Image.open(path) as stored:
                _check_size(stored, path, max_pixels)
                stored.load()
                orientation = _orientation(stored.getexif)
                mode = stored.mode
                upright = stored.transpose(_TURNS[orientation]) if orientation in _TURNS else stored
                picture = _to_8_bits(upright).convert("L" if channels == 1 else "RGB")
        except _BROKEN as error:
            raise _unreadable(path, error) from error
    pixels = np.asarray(picture)
    return DecodedPicture(pixels[:, :, None] if channels == 1 else pixels, mode, orientation)


def read_header(path: Path) -> PictureHeader:
    """Return what the picture at `path` says of itself, without decoding it.

    An orientation that a PNG holds behind its pixels is not seen.

    Raises:
        DataError: missing, or no picture.
    """
    with _unlimited_and_silent_pillow():
        try:
            with Image.open(path) as stored:
                # PNG's own method would read the whole picture; TIFF is turned by Pillow itself
                is_upright = stored.format == "TIFF"
                orientation = 1 if is_upright else _orientation(partial(Image.Image.getexif, stored))
                sides = stored.size[::-1] if is_sideways(orientation) else stored.size
                return PictureHeader(*sides, mode=stored.mode, exif_orientation=orientation)
        except _BROKEN as error:
            raise _unreadable(path, error) from error


def is_sideways(exif_orientation: int) -> bool:
    """Return whether a picture of this orientation is stored with its sides swapped."""
    return exif_orientation in _SWAPPING


def _check_size(stored: Image.Image, path: Path, max_pixels: int) -> None:
    num_pixels = stored.width * stored.height
    if num_pixels > max_pixels:
        what = f"has {stored.width} x {stored.height} = {num_pixels} pixels, more than {max_pixels}"
        raise DataError(str(path), what, "make it smaller, or raise ingest.max_pixels in params.yaml")


def _orientation(get_exif: Callable[[], Image.Exif]) -> int:
    try:
        value = get_exif().get(_ORIENTATION_TAG)
    except _BROKEN:  # broken EXIF data; browsers show such pictures as they are stored
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _to_8_bits(stored: Image.Image) -> Image.Image:
    if stored.mode.startswith("I;16"):
        return Image.fromarray(_scale(np.asarray(stored), full=65535))
    if stored.mode == "I":
        values = np.asarray(stored)
        return Image.fromarray(_scale_within(values, fulls=(65535,)))
    if stored.mode == "F":
        values = np.nan_to_num(np.asarray(stored, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        return Image.fromarray(_scale_within(values, fulls=(1, 255, 65535)))
    if stored.has_transparency_data:
        coloured = stored.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", stored.size, "white"), coloured)
    return stored.convert("RGB") if stored.mode == "P" else stored


def _scale_within(values: NDArray[np.generic], *, fulls: tuple[int, ...]) -> NDArray[np.uint8]:
    """Scale by the first full scale that holds all values; by their own range where none does."""
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        for full in fulls:
            if high <= full:
                return _scale(values, full=full)
    # where all values are the same, all become 0
    return _scale(values.astype(np.float64) - low, full=(high - low) or 1.0)


def _scale(values: NDArray[np.generic], *, full: float) -> NDArray[np.uint8]:
    scaled: NDArray[np.uint8] = (values.astype(np.float64) * 255 / full).round().astype(np.uint8)
    return scaled


def _unreadable(path: Path, error: BaseException) -> DataError:
    what = f"cannot be read as a picture: {_reason(error)}"
    return DataError(str(path), what, "restore the file, or take it out of the annotations")


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "file not found"
    if isinstance(error, UnidentifiedImageError):
        return "no known format"  # Pillow's text names the object in memory
    return str(error).partition("\n")[0] or type(error).__name__


_lock = threading.Lock()
_entered: list[ExitStack] = []  # one per thread within; the last to leave restores


@contextmanager
def _unlimited_and_silent_pillow() -> Iterator[None]:
    """Keep Pillow's warnings and its own limit of pixels out, while any thread is within.

    Both are states of the process, so threads must not set and restore them one by one.
    """
    with _lock:
        stack = ExitStack()
        if not _entered:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            stack.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = None
        _entered.append(stack)
    try:
        yield
    finally:
        with _lock:
            # the stack that restores is the first: it is left for the last
            _entered.pop().close()
