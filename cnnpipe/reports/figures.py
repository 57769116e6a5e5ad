"""How every figure looks, and how it becomes SVG: deterministic, with its text as text.

Text stays text so that the reader's browser sets it with its own fonts: class names in any script are
readable, although matplotlib's font may lack their glyphs. No pyplot: nothing is global but what
matplotlib reads while a figure is made, and that is put back.
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Colour-blind safe. Source: M. Okabe, K. Ito, Color Universal Design (2008).
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
_LEFT_TO_RIGHT_MARK: Final = "\u200e"  # keeps a number after an Arabic or Hebrew name behind it
CYCLE: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#8C6D1F", "#444444")
INK, MUTED, FAINT = "#1c2733", "#6b7785", "#dfe4ea"

_STYLE: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": MUTED,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.labelsize": 9,
        "axes.linewidth": 0.8,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "font.family": "DejaVu Sans",
        "grid.color": FAINT,
        "grid.linewidth": 0.7,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "legend.title_fontsize": 8,
        "svg.fonttype": "none",
        "svg.hashsalt": "cnnpipe",  # the ids inside the file are hashes of this and of what they name
        "text.color": INK,
        "text.parse_math": False,  # a class may be called $x$
        "xtick.color": MUTED,
        "xtick.labelcolor": INK,
        "xtick.labelsize": 8,
        "ytick.color": MUTED,
        "ytick.labelcolor": INK,
        "ytick.labelsize": 8,
    }
)


@contextmanager
def house_style() -> Iterator[None]:
    """Make and render figures in here, and only here, in the style of the reports."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change what a stage writes
        mpl.rcParams.update(_STYLE)
        # the browser sets the text, with fonts that have the glyph
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def new_figure(*, width: float, height: float) -> Figure:
    """Return an empty figure of that many inches, its parts laid out without overlap."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def to_svg(figure: Figure) -> str:
    """Return the figure as an SVG document; equal figures give equal text."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None}
    figure.savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue().decode()


def say_nothing_to_draw(axes: Axes, reason: str) -> None:
    """Leave a sentence in place of a curve that is undefined."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", color=MUTED, fontsize=9, transform=axes.transAxes)


def add_legend(axes: Axes, entries: Sequence[tuple[Artist, str]], *, title: str | None = None) -> None:
    """Put a legend to the right of the axes."""
    handles = [handle for handle, _ in entries]
    # matplotlib leaves out labels that begin with "_", which a class may: they are set afterwards
    legend = axes.legend(
        handles,
        ["x"] * len(handles),
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
    )
    for text, (_, label) in zip(legend.get_texts(), entries, strict=True):
        text.set_text(label)


def printable(label: str, *, limit: int = 28) -> str:
    """Return a class name in one line that XML can hold, at most `limit` columns wide."""
    one_line = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+", " ", label).strip() or "·"
    short = one_line
    while columns(short) > limit:
        short = f"{short.rstrip('…')[:-1]}…"
    is_right_to_left = any(unicodedata.bidirectional(character) in ("R", "AL") for character in short)
    return f"{short}{_LEFT_TO_RIGHT_MARK}" if is_right_to_left else short


def columns(text: str) -> int:
    """Return the width of a text in columns: two for a wide character such as 中, else one."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def inches(text: str, *, font_size: float) -> float:
    """Return about how wide a text is set."""
    return columns(text) * 0.6 * font_size / 72
