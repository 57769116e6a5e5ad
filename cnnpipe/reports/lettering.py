r"""Text on pictures, drawn with Pillow.

It is set in DejaVu Sans as matplotlib ships it, so that the same picture has the same bytes on every machine;
the fonts of the system would differ. It has Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian and Georgian
letters; one it lacks stands as its code point, e.g. \u7a32, and the files beside the picture hold the name.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont


@cache
def font_of(size_px: int) -> ImageFont.FreeTypeFont:
    """Return the font in a size, pixels."""
    spec = find_spec("matplotlib")  # found, not imported: that takes half a second
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("matplotlib", name="matplotlib")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    # the basic layout does not depend on which text libraries the machine has
    return ImageFont.truetype(folder / "DejaVuSans.ttf", size_px, layout_engine=ImageFont.Layout.BASIC)


def drawable(text: str) -> str:
    """Return the text in one line and in letters that the font has."""
    return "".join(letter if _has_glyph(letter) else _code_point(letter) for letter in text)


def shortened(text: str, font: ImageFont.FreeTypeFont, *, width: float) -> str:
    """Return as much of the text as `width` pixels hold, with an ellipsis where some is left out."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


@cache
def _has_glyph(letter: str) -> bool:
    """Return whether the font can draw the letter: what it lacks looks like U+FFFF, which no font has."""
    if letter.isspace():
        return letter == " "
    font = font_of(13)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


def _code_point(letter: str) -> str:
    return " " if letter.isspace() else f"\\u{ord(letter):04x}"
