"""Rows and cells of the CSV that VIA writes, as it comes back from Excel and from scripts.

Python's csv module is not used: the size of its cells is limited for the whole process, and it cannot
tell a name with quotes in it, which VIA leaves as it is, from a quoted name.

Source: `pack_via_metadata` and `parse_csv_line` of via-2.x.y/src/via.js (2.0.11);
`_via_util_obj2csv` of via-3.x.y/src/js/_via_util.js (3.0.10).
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.formats.via.decode import mend_surrogates

SEPARATORS: Final = ",;\t"  # VIA writes the first; Excel the second where the comma is decimal

_CONTENT: Final = re.compile(rb"[^\s,;\"][^\r\n]*")  # of a line, from what is no blank and no empty cell
# a text, also one that does not end, or the word outside of texts
_UNDEFINED: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|undefined', re.DOTALL)
# A text that stands for `undefined` until the cell is decoded; no one types it.
_MARK: Final = "\x00undefined\x00"
_LONGEST_IN_EXCEL: Final = 32_767  # characters of a cell
_LARGE: Final = 2**20  # characters; what is smaller cannot fill a memory
_FEWEST_PER_BRACKET: Final = 8  # characters of a cell; VIA's own have thirty and more
_ROW_START: Final = re.compile(r'[^\r\n]{1,4096}?[,;\t]"?-?[\d.]*"?[,;\t](?:"?\{|"?\[|[,;\t])')


CellRepair = Literal["undefined", "surrogate"]  # no value; half of a pair of surrogates in a text

MOST_LISTED: Final = 1000  # faults of one kind in one file that get a finding each


class Row(msgspec.Struct, frozen=True):
    """One row as it stands."""

    line: int  # of the file, from 1
    text: str


class Cell(msgspec.Struct, frozen=True):
    """The JSON value of one cell."""

    value: Any
    repairs: tuple[CellRepair, ...] = ()


def rows_of(text: bytes) -> Iterator[Row]:
    """Yield the rows that hold anything, one at a time.

    VIA writes one line per row. A line in which a quote stays open is joined with those after it, up to
    one that looks like a row of its own. Comments (# and a blank) are rows by themselves.
    """
    pending: list[Row] = []
    is_open = False
    for line in lines_of(text):
        is_comment = line.text.lstrip('"').startswith("# ")
        if pending and (is_comment or not is_open or _ROW_START.match(line.text)):
            yield _join(pending)
            pending, is_open = [], False
        pending.append(line)
        is_open ^= not is_comment and line.text.count('"') % 2 == 1
    if pending:
        yield _join(pending)


def lines_of(text: bytes) -> Iterator[Row]:
    """Yield the lines, one at a time, without those that are blank or hold empty cells."""
    ending = b"\n" if b"\n" in text else b"\r"
    number, end = 1, 0
    for match in _CONTENT.finditer(text):
        start = max(end, text.rfind(b"\n", end, match.start()) + 1, text.rfind(b"\r", end, match.start()) + 1)
        number += text.count(ending, end, start)
        end = match.end()
        yield Row(number, text[start:end].decode())


def split_cells(row: str, separator: str) -> list[str]:
    """Return the cells of a row as they stand, quotes included.

    A row that is one quoted cell as a whole, as Excel leaves it where it knows another separator, is split
    once it is unquoted.
    """
    cells = _split(row, separator)
    return _split(unquote(cells[0]), separator) if len(cells) == 1 and _is_quoted(row) else cells


def unquote(cell: str) -> str:
    """Return the text of a cell."""
    text = cell.strip()
    return text[1:-1].replace('""', '"') if _is_quoted(text) else text


def decode_cell(cell: str) -> Cell:
    """Return the JSON value of a cell; what is `undefined` is missing, and an empty cell is null.

    Raises:
        ValueError: it is not JSON.
    """
    text = unquote(cell)
    if not text or text == "undefined":
        return Cell(None, repairs=("undefined",) if text else ())
    if len(text) > _LARGE and (text.count("[") + text.count("{")) * _FEWEST_PER_BRACKET > len(text):
        raise ValueError("a cell is nothing but brackets")  # sixty bytes of memory for each
    try:
        return Cell(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return _decode_mildly(text)


def not_listed(number: int, what: str, where: str) -> Iterator[Finding]:
    """Yield one finding for all faults beyond those that have their own."""
    if number > MOST_LISTED:
        told = f"{number - MOST_LISTED} more {what} cannot be read"
        yield found("entry-unreadable", where, told, "correct those that are listed, and read the file again")


def _join(lines: list[Row]) -> Row:
    return Row(lines[0].line, "\n".join(line.text for line in lines))


def _split(row: str, separator: str) -> list[str]:
    return [match[1] for match in _CELL[separator].finditer(row)]


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] == '"' == text[-1]


def _decode_mildly(text: str) -> Cell:
    marked, times = _mark_undefined(text) if "undefined" in text else (text, 0)
    mended, num_halves = mend_surrogates(marked.encode())
    try:
        value = json.loads(mended)
    except json.JSONDecodeError as error:
        raise ValueError(f"a cell is not JSON: {error.msg}{_hint(text)}") from error
    except RecursionError as error:
        raise ValueError("a cell is nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise ValueError(str(error).partition(";")[0]) from error
    undefined: tuple[CellRepair, ...] = ("undefined",) if times else ()
    surrogate: tuple[CellRepair, ...] = ("surrogate",) if num_halves else ()
    return Cell(_without_marks(value) if times else value, undefined + surrogate)


def _mark_undefined(text: str) -> tuple[str, int]:
    """Put a text in the place of `undefined`, but not within texts."""
    times = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal times
        if match[0] != "undefined":
            return match[0]
        times += 1
        return '"\\u0000undefined\\u0000"'

    return _UNDEFINED.sub(replace, text), times


def _without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_marks(each) for key, each in value.items() if each != _MARK}
    if isinstance(value, list):
        return [_without_marks(each) for each in value]
    return None if value == _MARK else value


def _hint(text: str) -> str:
    if len(text) < _LONGEST_IN_EXCEL:
        return ""
    return f"; it has {len(text):,} characters, and Excel cuts a cell after {_LONGEST_IN_EXCEL:,}"


def _cell_pattern(separator: str) -> re.Pattern[str]:
    """Match one cell and the separator behind it: quoted as a whole, or else as it stands."""
    return re.compile(
        rf'(?:^|(?<={separator}))( *"[^"]*+(?:""[^"]*+)*+" *(?=[{separator}]|\Z)|[^{separator}]*+)'
        rf"(?:{separator}|\Z)"
    )


_CELL: Final = {separator: _cell_pattern(separator) for separator in SEPARATORS}
