"""Move groups between splits until every class is in each of them."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

import msgspec

from cnnpipe.annotations import SPLITS, Split

_FEWEST_GROUPS = 3  # of a class, to be in three splits

_Cell = tuple[Hashable, Split]  # a class in a split


class PlacedGroup(msgspec.Struct, frozen=True):
    """A group of pictures with the split it is in."""

    name: str
    split: Split
    classes: frozenset[Hashable]
    is_free: bool  # may be moved


def spread_classes(groups: Sequence[PlacedGroup]) -> dict[str, Split]:
    """Return the split of each group, by name, after the moves that bring classes where they lack.

    Only classes with at least three groups are looked at. Each step makes the move of a free group
    that leaves the fewest classes lacking in a split; where none helps, a move together with a
    second one that mends what it breaks. Equal moves are decided by the SHA-256 of the names. No
    split is emptied: all classes of its last group would lack in it.
    """
    num_groups = Counter(each for group in groups for each in group.classes)
    wanted = {each for each, number in num_groups.items() if number >= _FEWEST_GROUPS}
    by_name = {
        group.name: msgspec.structs.replace(group, classes=group.classes & wanted)
        for group in sorted(groups, key=lambda group: _rank(group.name))
    }
    filled = Counter((each, group.split) for group in by_name.values() for each in group.classes)
    while moves := _best_moves(by_name, filled, wanted):
        for moved in moves:
            _move(filled, by_name[moved.name], moved.split)
            by_name[moved.name] = moved
    return {name: group.split for name, group in by_name.items()}


def _best_moves(
    groups: Mapping[str, PlacedGroup], filled: Counter[_Cell], wanted: Iterable[Hashable]
) -> list[PlacedGroup]:
    """Return the groups to move, as they are after it; none where nothing helps."""
    lacking = {(each, split) for each in wanted for split in SPLITS if not filled[each, split]}
    moves = list(_moves(groups.values(), lacking))
    gains = [_gain(filled, groups[moved.name], moved.split) for moved in moves]
    if gains and max(gains) > 0:
        return [moves[gains.index(max(gains))]]
    for first in moves:
        after = filled.copy()
        _move(after, groups[first.name], first.split)
        lost = {(each, groups[first.name].split) for each in first.classes} - set(+after)
        others = [group for name, group in groups.items() if name != first.name]
        for second in _moves(others, lost):
            loss = _gain(filled, groups[first.name], first.split)
            if loss + _gain(after, groups[second.name], second.split) > 0:
                return [first, second]
    return []


def _moves(groups: Iterable[PlacedGroup], lacking: set[_Cell]) -> Iterator[PlacedGroup]:
    """Yield each free group in each split that lacks one of its classes."""
    for group in groups:
        if group.is_free:
            for split in SPLITS:
                if any((each, split) in lacking for each in group.classes):
                    yield msgspec.structs.replace(group, split=split)


def _gain(filled: Mapping[_Cell, int], group: PlacedGroup, to: Split) -> int:
    """Return how many fewer classes lack in a split when the group moves."""
    won = sum(filled[each, to] == 0 for each in group.classes)
    return won - sum(filled[each, group.split] == 1 for each in group.classes)


def _move(filled: Counter[_Cell], group: PlacedGroup, to: Split) -> None:
    filled.subtract((each, group.split) for each in group.classes)
    filled.update((each, to) for each in group.classes)


def _rank(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
