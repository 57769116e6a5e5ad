"""Spellings of very many or very long labels: compared in time and memory that go with their size."""

import tracemalloc

import pytest

from cnnpipe.formats.via.spelling import near_spellings


def words(number: int, length: int) -> list[str]:
    return [f"{chr(0x4E00 + n // 5000)}{chr(0x4E00 + n % 5000)}" + "x" * (length - 2) for n in range(number)]


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(["a" * 100_000 + "b" * n for n in range(3)], id="long"),
        pytest.param(words(20_000, 40), id="many"),
        pytest.param(["word" + chr(0x4E00 + n) for n in range(1900)], id="one letter apart"),
    ],
)
def test_what_is_no_class_takes_little_memory(labels: list[str]) -> None:
    tracemalloc.start()
    try:
        assert near_spellings(labels) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000


def test_letters_and_blanks_are_compared_whatever_the_size() -> None:
    many = words(3000, 30)
    assert near_spellings([*many, "a" * 100 + " b", "A" * 100 + "_b"]) == [
        ("A" * 100 + "_b", "a" * 100 + " b")
    ]


def test_a_word_of_just_the_largest_length_is_compared() -> None:
    assert near_spellings(["a" * 64, "a" * 63]) == [("a" * 63, "a" * 64)]
