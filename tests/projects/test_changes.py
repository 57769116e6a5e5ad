"""Regions added, removed, moved, relabelled: what an annotator did, told from two files."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.formats.via.records import ViaEntry, ViaRegion
from cnnpipe.geometry.shapes import Point, Rect, Shape
from cnnpipe.projects.changes import Labels, RegionChanges, compare_picture, compare_regions


def regions(*shapes: tuple[Shape | None, str]) -> list[ViaRegion]:
    return [
        ViaRegion(number=number, shape=shape, attributes={"class": label})
        for number, (shape, label) in enumerate(shapes)
    ]


def at(x: float, y: float = 0.0, side: float = 10.0) -> Rect:
    return Rect(x, y, side, side)


CLASS = Labels(of_region="class", of_picture=None)
A, B, C = (at(0), "a"), (at(20), "b"), (at(40), "a")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([A, B], [A, B], (0, 0, 0, 0), id="the same"),
        pytest.param([], [A, B], (2, 0, 0, 0), id="added"),
        pytest.param([A, B], [], (0, 2, 0, 0), id="removed"),
        pytest.param([A, B, C], [B, C], (0, 1, 0, 0), id="the first removed: the numbers of others move up"),
        pytest.param([A, B], [B, A], (0, 0, 0, 0), id="another order"),
        pytest.param([A, B], [(at(3), "a"), B], (0, 0, 1, 0), id="moved"),
        pytest.param([A, B], [(at(0), "c"), B], (0, 0, 0, 1), id="relabelled"),
        pytest.param([A], [(at(3), "c")], (0, 0, 1, 1), id="moved and relabelled"),
        pytest.param([A, B], [(at(90), "a"), B], (0, 0, 1, 0), id="moved far, the same number and class"),
        pytest.param([A, B], [(at(90), "c"), B], (1, 1, 0, 0), id="elsewhere and of another class"),
        pytest.param([A, B], [(at(22), "a"), (at(1), "b")], (0, 0, 2, 2), id="by overlap before number"),
        pytest.param([(at(0), "a"), (at(0), "b")], [(at(0), "b")], (0, 1, 0, 0), id="one shape, two classes"),
        pytest.param([(Point(1, 1), "a")], [(Point(2, 2), "a")], (0, 0, 1, 0), id="points by number"),
        pytest.param([(None, "a")], [(None, "b")], (0, 0, 0, 1), id="without a shape"),
    ],
)
def test_changes_of_regions(old: Any, new: Any, expected: tuple[int, int, int, int]) -> None:
    added, removed, moved, relabelled = expected
    assert compare_regions(regions(*old), regions(*new), CLASS) == RegionChanges(
        added=added, removed=removed, moved=moved, relabelled=relabelled
    )


several = st.lists(
    st.tuples(
        st.builds(at, st.integers(0, 30), st.integers(0, 30), st.integers(0, 9)), st.sampled_from("ab")
    ),
    max_size=6,
)


@given(several)
def test_nothing_changes_against_itself(drawn: Any) -> None:
    same = RegionChanges(added=0, removed=0, moved=0, relabelled=0)
    assert compare_regions(regions(*drawn), regions(*drawn), CLASS) == same
    assert compare_regions(regions(*drawn), regions(*reversed(drawn)), CLASS) == same


@given(several, several)
def test_every_region_is_accounted_for(before: Any, after: Any) -> None:
    there = compare_regions(regions(*before), regions(*after), CLASS)
    back = compare_regions(regions(*after), regions(*before), CLASS)
    assert len(before) - there.removed == len(after) - there.added >= max(there.moved, there.relabelled)
    assert there.added - there.removed == back.removed - back.added


def entry_of(review: str | None, *shapes: tuple[Shape, str], **attributes: str) -> ViaEntry:
    more = {} if review is None else {"cnnpipe_review": review}
    return ViaEntry(
        key="k",
        filename="a.png",
        size_bytes=None,
        regions=tuple(regions(*shapes)),
        file_attributes={**attributes, **more},
        findings=(),
    )


@pytest.mark.parametrize(
    ("old", "new", "state", "added", "unchecked"),
    [
        pytest.param([], [entry_of(None, A)], "added", 1, False, id="a new picture"),
        pytest.param([entry_of(None, A)], [], "removed", 0, False, id="gone"),
        pytest.param([entry_of(None, A)], [entry_of(None, A)], "same", 0, False, id="the same"),
        pytest.param([], [entry_of("machine", A)], "added", 0, True, id="unchecked boxes are none"),
        pytest.param(
            [entry_of("machine", A)], [entry_of("checked", A, B)], "changed", 2, False, id="checked now"
        ),
        pytest.param(
            [entry_of("machine")], [entry_of("checked")], "changed", 0, False, id="checked: nothing there"
        ),
    ],
)
def test_changes_of_a_picture(
    old: list[ViaEntry], new: list[ViaEntry], state: str, added: int, unchecked: bool
) -> None:
    changes = compare_picture("a.png", old, new, CLASS)
    assert (changes.state, changes.regions.added, changes.unchecked) == (state, added, unchecked)


def test_a_picture_of_another_class_is_relabelled() -> None:
    old, new = [entry_of(None, scene="day")], [entry_of(None, scene="night")]
    changes = compare_picture("a.png", old, new, Labels(of_region=None, of_picture="scene"))
    assert (changes.state, changes.relabelled) == ("changed", True)
    assert compare_picture("a.png", old, new, Labels(of_region=None, of_picture=None)).state == "same"


@pytest.mark.parametrize(
    ("old", "new", "renumbered"),
    [("12.5", "12.5", 0), ("12.5", " 12.50 ", 0), ("12.5", "13", 1), ("12.5", "thirteen", 1), ("x", "y", 0)],
)
def test_a_region_or_picture_of_another_number_is_renumbered(old: str, new: str, renumbered: int) -> None:
    before, after = ([ViaRegion(number=0, shape=at(0), attributes={"g": text})] for text in (old, new))
    of_regions = Labels(of_region="class", of_picture=None, number_of_region="g")
    found = compare_regions(before, after, of_regions)
    assert found == RegionChanges(added=0, removed=0, moved=0, relabelled=0, renumbered=renumbered)
    of_pictures = Labels(of_region="class", of_picture=None, number_of_picture="g")
    changes = compare_picture("a.png", [entry_of(None, g=old)], [entry_of(None, g=new)], of_pictures)
    assert (changes.state, changes.renumbered) == (("same", "changed")[renumbered], bool(renumbered))
