"""Pictures that look alike, joined into groups without comparing every pair."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cnnpipe.formats.perceptual_hash import NO_STRUCTURE

Item = TypeVar("Item", bound=Hashable)

_BITS = 64


def near_duplicate_pairs(hashes: Sequence[str], *, bits: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of positions whose hashes differ in at most `bits`; enough to join all that do.

    A pair may be left out where other pairs connect its two pictures already. Pictures without
    structure resemble nothing, not even each other.

    Hashes that differ in at most k of 64 bits are equal in at least one of k + 1 bands, so only
    those that share a band are compared: neighbours in the sorted band first, then those two
    apart, and so on.

    Args:
        hashes: 16 hex digits each.
        bits: below 0, nothing is yielded.

    Source: G. S. Manku et al., "Detecting Near-Duplicates for Web Crawling" (WWW 2007), section 3.
    """
    if bits < 0:
        return
    places: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(hashes):
        if text != NO_STRUCTURE:
            places[text].append(place)
    for equal in places.values():
        yield from pairwise(equal)
    firsts = [equal[0] for equal in places.values()]
    values = np.array([int(text, 16) for text in places], dtype=np.uint64)
    for one, other in _near_values(values, bits):
        yield firsts[one], firsts[other]


def join(items: Iterable[Item], pairs: Iterable[tuple[Item, Item]]) -> dict[Item, Item]:
    """Return for each item one item that stands for all it is connected with.

    Source: R. Tarjan, "Efficiency of a Good But Not Linear Set Union Algorithm" (1975), with path
    halving.
    """
    parent = {item: item for item in items}

    def root(item: Item) -> Item:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in pairs:
        parent[root(one)] = root(other)
    return {item: root(item) for item in parent}


def _near_values(values: NDArray[np.uint64], bits: int) -> Iterator[tuple[int, int]]:
    edges = np.linspace(0, _BITS, bits + 2).round().astype(np.uint64)
    roots = np.arange(len(values))
    for low, high in pairwise(edges.tolist()):
        mask = np.uint64(((1 << (high - low)) - 1) << low)
        order = np.argsort(values & mask, kind="stable")
        band, ordered = (values & mask)[order], values[order]
        for step in count(1):
            same = np.flatnonzero(band[step:] == band[:-step])
            if not len(same):
                break
            near = same[np.bitwise_count(ordered[same] ^ ordered[same + step]) <= bits]
            one, other = order[near], order[near + step]
            fresh = roots[one] != roots[other]
            if fresh.any():
                pairs = np.stack([one[fresh], other[fresh]], axis=1)
                yield from ((int(a), int(b)) for a, b in pairs.tolist())
                roots = _joined(roots, pairs)


def _joined(roots: NDArray[np.intp], pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the component of each value after joining the pairs: the smallest member stands for it."""
    roots = roots.copy()
    while True:
        before = roots.copy()
        low = np.minimum(roots[pairs[:, 0]], roots[pairs[:, 1]])
        for column in (0, 1):
            np.minimum.at(roots, roots[pairs[:, column]], low)
        roots = roots[roots]
        if np.array_equal(before, roots):
            return roots
