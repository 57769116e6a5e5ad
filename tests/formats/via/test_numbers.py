"""Numbers in VIA attributes: what is plainly one is read exactly, and nothing else is."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.formats.via.numbers import NO_NUMBER, NO_VALUE, NOT_FINITE, as_seen, number_of, text_of

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("held", "number"),
    [
        ("12.5", 12.5),
        (" 12.5\n", 12.5),
        ("-3", -3.0),
        ("+.5", 0.5),
        ("7.", 7.0),
        ("1e3", 1000.0),
        (4, 4.0),
        (0.25, 0.25),
        ("0", 0.0),
    ],
)
def test_a_plain_number_is_read(held: Any, number: float) -> None:
    assert number_of(held) == (number, None)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (None, NO_VALUE),
        ("", NO_VALUE),
        ("  ", NO_VALUE),
        ("undefined", NO_VALUE),
        ({"ripe": False}, NO_VALUE),
        ("12,5", NO_NUMBER),
        ("1,500", NO_NUMBER),
        ("12.5 g", NO_NUMBER),
        ("12 5", NO_NUMBER),
        ("1_000", NO_NUMBER),
        ("٣", NO_NUMBER),
        ("0x10", NO_NUMBER),
        ("e5", NO_NUMBER),
        (True, NO_NUMBER),
        ({"12": True}, NO_NUMBER),
        (["12"], NO_NUMBER),
        ("nan", NOT_FINITE),
        ("-Infinity", NOT_FINITE),
        ("1e999", NOT_FINITE),
        (math.inf, NOT_FINITE),
        (math.nan, NOT_FINITE),
        (10**400, NOT_FINITE),
    ],
)
def test_what_is_no_plain_number_says_why(held: Any, reason: str) -> None:
    assert number_of(held) == (None, reason)


@given(FLOATS)
def test_what_is_written_is_read_again(number: float) -> None:
    assert number_of(text_of(number)) == (number, None)


@given(st.text(max_size=8))
def test_every_text_is_a_finite_number_or_has_a_reason(text: str) -> None:
    number, reason = number_of(text)
    assert (number is None) != (reason is None)
    if number is not None:
        assert math.isfinite(number)
        assert number == float(text)


def test_a_long_value_is_shown_in_short() -> None:
    assert as_seen("12,5") == '"12,5"'
    assert len(as_seen("x" * 100)) == 40
