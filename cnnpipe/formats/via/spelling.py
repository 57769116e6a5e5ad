"""Labels that look like two spellings of one class. They are reported, never merged."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from typing import Final

_SHORTEST: Final = 5  # letters; shorter words (cat, bat) differ by one letter and mean two things
# Beyond these a label is a sentence, and an attribute holds no classes: looking for typing mistakes would
# cost memory by the square of the length, and say nothing. Equal but for case and blanks is still near.
_LONGEST: Final = 64  # letters
_MOST_LABELS: Final = 2000
_MOST_ALIKE: Final = 50  # that one letter less makes the same: an enumeration


def near_spellings(labels: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of labels that differ as typing mistakes do, each pair and all pairs sorted.

    Two labels are near when they are equal without case, blanks, hyphens and underscores, or when
    one letter more, less, changed or swapped with its neighbour turns one into the other. Labels
    that differ in digits only (grade1, grade2) are meant.
    """
    different = set(labels)
    buckets: dict[str, set[str]] = defaultdict(set)
    for label in different:
        plain = _plain(label)
        for key in _deletions(plain) if len(different) <= _MOST_LABELS else {plain}:
            buckets[key].add(label)
    small = (sorted(bucket) for bucket in buckets.values() if len(bucket) <= _MOST_ALIKE)
    pairs = {pair for bucket in small for pair in combinations(bucket, 2)}
    return sorted(pair for pair in pairs if _is_near(*map(_plain, pair)))


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", label).casefold())


def _deletions(text: str) -> set[str]:
    """Return the text, and all texts with one letter less: two near texts have one in common.

    Source: W. Garbe, SymSpell (2012), symmetric deletion.
    """
    is_word = _SHORTEST <= len(text) <= _LONGEST
    return {text} | {text[:place] + text[place + 1 :] for place in range(len(text)) if is_word}


def _is_near(one: str, other: str) -> bool:
    if one == other:
        return True
    if re.sub("[0-9]", "", one) == re.sub("[0-9]", "", other):
        return False
    return min(len(one), len(other)) >= _SHORTEST and _is_one_edit(one, other)


def _is_one_edit(one: str, other: str) -> bool:
    """Whether the optimal string alignment distance is 1, for two texts that differ."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:
        return abs(len(one) - len(other)) == 1
    rest, others_rest = one[start:], other[start:]
    swapped = others_rest[1:2] + others_rest[:1] + others_rest[2:]
    return rest[1:] in (others_rest, others_rest[1:]) or rest == others_rest[1:] or rest == swapped
