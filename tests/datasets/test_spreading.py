"""Classes come into every split where moves allow it."""

from collections import Counter
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.annotations import SPLITS, Split
from cnnpipe.datasets.spreading import PlacedGroup, spread_classes


def group(name: str, split: Split, *classes: str, is_free: bool = True) -> PlacedGroup:
    return PlacedGroup(name=name, split=split, classes=frozenset(classes), is_free=is_free)


def lacking(groups: list[PlacedGroup], placed: dict[str, Split]) -> set[tuple[Hashable, Split]]:
    """Return the classes with at least three groups that lack in a split."""
    number = Counter(each for placed_group in groups for each in placed_group.classes)
    there = {(each, placed[one.name]) for one in groups for each in one.classes}
    return {(each, split) for each in number for split in SPLITS if number[each] >= 3} - there


groups_of_classes = st.lists(
    st.tuples(st.sampled_from(SPLITS), st.sets(st.sampled_from("abcd"), max_size=2), st.booleans()),
    max_size=14,
).map(
    lambda drawn: [
        group(f"g{n}", split, *sorted(classes), is_free=free)
        for n, (split, classes, free) in enumerate(drawn)
    ]
)


@given(groups_of_classes)
def test_nothing_fixed_moves_and_nothing_gets_worse(groups: list[PlacedGroup]) -> None:
    before = {each.name: each.split for each in groups}
    after = spread_classes(groups)
    assert after.keys() == before.keys()
    assert all(after[each.name] == each.split for each in groups if not each.is_free)
    assert len(lacking(groups, after)) <= len(lacking(groups, before))
    assert set(before.values()) <= set(after.values())
    assert spread_classes([*reversed(groups)]) == after


@given(st.lists(st.tuples(st.sampled_from(SPLITS), st.sampled_from("abc")), min_size=3, max_size=15))
def test_free_groups_of_one_class_each_always_cover_all(drawn: list[tuple[Split, str]]) -> None:
    groups = [group(f"g{number}", split, each) for number, (split, each) in enumerate(drawn)]
    assert lacking(groups, spread_classes(groups)) == set()


def test_where_nothing_lacks_nothing_moves() -> None:
    groups = [group(f"{split}{number}", split, "a", "b") for split in SPLITS for number in range(3)]
    assert spread_classes(groups) == {each.name: each.split for each in groups}


def test_a_class_with_two_groups_is_left_alone() -> None:
    groups = [group("a", "train", "rare"), group("b", "train", "rare"), group("c", "val"), group("d", "test")]
    assert spread_classes(groups) == {each.name: each.split for each in groups}


def test_a_second_move_mends_what_the_first_breaks() -> None:
    # x lacks in val. Its only free group carries y, which would then lack in train: y2 follows.
    groups = [
        group("x1", "train", "x", is_free=False),
        group("x2", "test", "x", is_free=False),
        group("x3 y1", "train", "x", "y"),
        group("y2", "val", "y"),
        group("y3", "test", "y", is_free=False),
        group("other", "val", is_free=False),
    ]
    placed = spread_classes(groups)
    assert (placed["x3 y1"], placed["y2"]) == ("val", "train")
    assert lacking(groups, placed) == set()


@pytest.mark.parametrize("names", [("a", "b", "c"), ("x", "y", "z")])
def test_ties_are_decided_by_the_hash_of_the_name(names: tuple[str, ...]) -> None:
    groups = [group(name, "train", "k") for name in names]
    placed = spread_classes(groups)
    assert sorted(placed.values()) == sorted(SPLITS)
    assert spread_classes([group(name, "train", "k") for name in reversed(names)]) == placed
