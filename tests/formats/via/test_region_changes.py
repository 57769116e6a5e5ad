"""Which regions are the same: the pairs themselves, and what two files differ in."""

from typing import Any

import pytest
from filed_entries import A, B, entry, file_of
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.formats.via.file_changes import FileDifference, compare_files
from cnnpipe.formats.via.records import ViaRegion
from cnnpipe.formats.via.region_changes import match_regions
from cnnpipe.geometry.shapes import Point, Rect, Shape


def regions(*shapes: tuple[Shape | None, str]) -> list[ViaRegion]:
    return [
        ViaRegion(number=number, shape=shape, attributes={"class": label})
        for number, (shape, label) in enumerate(shapes)
    ]


def test_a_moved_region_is_told_with_its_numbers_and_overlap() -> None:
    old, new = regions((B, "b"), (Rect(0, 0, 10, 10), "a")), regions((Rect(5, 0, 10, 10), "c"), (B, "b"))
    matched = match_regions(old, new, "class")
    moved = [pair for pair in matched.pairs if pair.is_moved]
    assert [(each.before.number, each.after.number) for each in moved] == [(1, 0)]
    assert moved[0].iou == pytest.approx(1 / 3)
    assert (moved[0].label_before, moved[0].label_after) == (["a"], ["c"])
    assert (matched.added, matched.removed) == ([], [])


def test_what_has_no_area_has_no_overlap() -> None:
    [pair] = match_regions(regions((Point(1, 1), "a")), regions((Point(2, 2), "a")), "class").pairs
    assert pair.is_moved
    assert pair.iou is None


def test_boxes_beyond_all_bounds_do_not_warn() -> None:
    [pair] = match_regions(
        regions((Rect(0, 0, 1e308, 1e308), "a")), regions((Rect(0, 0, 9e307, 1e308), "a")), "class"
    ).pairs
    assert pair.iou is None


def test_very_many_regions_end_soon() -> None:
    many = regions(*((Rect(x % 100, x // 100, 300, 300), "a") for x in range(2500)))
    moved = regions(*((Rect(x % 100 + 0.5, x // 100, 300, 300), "a") for x in range(2500)))
    matched = match_regions(many, moved, "class")
    assert len(matched.pairs) == 2500
    same_shape = match_regions(regions(*[(None, "a")] * 20_000), regions(*[(None, "b")] * 20_000), "class")
    assert len(same_shape.pairs) == 20_000


several = st.lists(
    st.tuples(
        st.builds(Rect, st.integers(0, 30), st.integers(0, 30), st.integers(0, 9), st.integers(0, 9)),
        st.sampled_from("ab"),
    ),
    max_size=6,
)


@given(several, several)
def test_every_region_is_told_once(before: Any, after: Any) -> None:
    old, new = regions(*before), regions(*after)
    matched = match_regions(old, new, "class")
    numbers_before = [each.before.number for each in matched.pairs] + [
        each.number for each in matched.removed
    ]
    numbers_after = [each.after.number for each in matched.pairs] + [each.number for each in matched.added]
    assert sorted(numbers_before) == list(range(len(old)))
    assert sorted(numbers_after) == list(range(len(new)))


def changes(old: Any, new: Any) -> FileDifference:
    return compare_files(file_of(*old), file_of(*new), "class")


def test_pictures_and_regions_that_differ() -> None:
    difference = changes(
        [entry("p", (A, "a"), (B, "b")), entry("gone", (A, "a")), entry("same", (A, "a"))],
        [entry("p", (A, "c")), entry("new", (A, "a")), entry("same", (A, "a"))],
    )
    assert difference.totals() == {
        "pictures": {"added": 1, "removed": 1, "changed": 1, "same": 1},
        "regions": {"added": 1, "removed": 2, "moved": 0, "relabelled": 1},
        "other values": {"changed": 0},
    }
    changed = next(each for each in difference.pictures if each.state == "changed")
    assert [(each.region, each.label) for each in changed.removed] == [(1, ["b"])]
    assert [(each.label_before, each.label_after) for each in changed.relabelled] == [(["a"], ["c"])]


def test_other_values_are_told_too() -> None:
    difference = changes(
        [entry("p", (A, {"class": "a", "note": "x"}), scene="day")],
        [entry("p", (A, {"class": "a", "note": "y", "more": ""}), scene="night")],
    )
    [picture] = difference.pictures
    assert [(v.region, v.attribute, v.before, v.after) for v in picture.values] == [
        (0, "note", "x", "y"),
        (None, "scene", "day", "night"),
    ]


@given(several)
def test_a_file_does_not_differ_from_itself(drawn: Any) -> None:
    assert changes([entry("p", *drawn)], [entry("p", *drawn)]).is_same
