"""The number in a VIA attribute, read strictly: what is not plainly a number is none."""

import json
import math
import re
from typing import Any, Final

from cnnpipe.formats.via.labels import labels_of

NO_VALUE: Final = "no value"
NO_NUMBER: Final = "no number"  # a unit behind it, a decimal comma, a word, several values
NOT_FINITE: Final = "not finite"  # nan, inf, or more than a float holds

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NO_FINITE_NUMBER: Final = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def number_of(value: Any) -> tuple[float, None] | tuple[None, str]:
    """Return the number that one attribute value holds, or the reason why it holds none.

    VIA keeps texts. A number has digits, a decimal point where it needs one, a sign and a power of ten where
    it has them ("12.5", "-3", "1e3"), and blanks around it at most. "12,5" and "12.5 g" are no numbers: of
    "1,500" nobody can tell which one it would be.

    Args:
        value: as VIA's JSON has it.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value)
    if not labels_of(value):
        return None, NO_VALUE
    text = value.strip() if isinstance(value, str) else ""
    if _NO_FINITE_NUMBER.fullmatch(text):
        return None, NOT_FINITE
    return _finite(text) if _NUMBER.fullmatch(text) else (None, NO_NUMBER)


def text_of(value: float) -> str:
    """Return a number as VIA may hold it: `number_of` finds the same one in it."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def as_seen(value: Any) -> str:
    """Return a value as it stands in the file, for a message: at most 40 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _finite(value: Any) -> tuple[float, None] | tuple[None, str]:
    try:
        number = float(value)
    except OverflowError:  # an integer beyond what a float holds
        return None, NOT_FINITE
    return (number, None) if math.isfinite(number) else (None, NOT_FINITE)
