"""Several files to one: what is the same picture, which regions stay, and what contradicts itself."""

from collections import Counter
from typing import Any

import pytest
from filed_entries import A, B, C, entry, file_of
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.annotations import found
from cnnpipe.formats.via.merge_files import Keep, Merged, merge_files
from cnnpipe.formats.via.records import DeclaredAttribute, ViaEntry, ViaFile
from cnnpipe.formats.via.region_changes import attributes_key
from cnnpipe.formats.via.same_pictures import group_by_picture, in_view_order


def merge(*files: ViaFile, keep: Keep | None = None) -> Merged:
    return merge_files([(f"{chr(97 + number)}.json", file) for number, file in enumerate(files)], keep)


def content(merged: Merged) -> Counter[tuple[str, Any, str]]:
    return Counter(
        (each.filename, region.shape, attributes_key(region.attributes))
        for each in merged.file.entries
        for region in each.regions
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param([entry("p", (A, "x"))], [entry("q", (A, "x"))], {"p": 1, "q": 1}, id="a file per split"),
        pytest.param([entry("p", (A, "x"))], [entry("p", (A, "x"))], {"p": 1}, id="equal regions once"),
        pytest.param([entry("p", (A, "x"))], [entry("p", (B, "x"))], {"p": 2}, id="the union"),
        pytest.param(
            [entry("p", (A, "x"), (A, "x"))], [entry("p", (A, "x"))], {"p": 2}, id="twice in one stays twice"
        ),
        pytest.param(
            [entry("p", (A, "x"), (A, "y"))], [entry("p", (A, "y"))], {"p": 2}, id="two classes on one shape"
        ),
        pytest.param([entry("p", (A, ""))], [entry("p", (A, "x"))], {"p": 1}, id="an empty label is filled"),
        pytest.param([entry("p", (None, "x"))], [entry("p", (None, "y"))], {"p": 2}, id="without a shape"),
        pytest.param([entry("p", (A, "x"))], [entry("p", size=None)], {"p": 1}, id="one knows no size"),
    ],
)
def test_regions_of_both(first: list[ViaEntry], second: list[ViaEntry], expected: dict[str, int]) -> None:
    for merged in (merge(file_of(*first), file_of(*second)), merge(file_of(*second), file_of(*first))):
        assert not merged.conflicts
        assert {each.filename: len(each.regions) for each in merged.file.entries} == expected
        assert merged.file.num_regions == sum(expected.values())
        assert merged.file.num_images == len(expected)


def test_pictures_of_one_name_and_two_sizes_are_two() -> None:
    merged = merge(file_of(entry("p", (A, "x"), size=1)), file_of(entry("p", (A, "y"), size=2)))
    assert [(each.key, len(each.regions)) for each in merged.file.entries] == [("p1", 1), ("p2", 1)]
    assert (merged.num_shared, merged.conflicts) == (0, [])


def test_two_pictures_under_one_key_get_a_key_each() -> None:
    merged = merge(file_of(entry("p", key="1")), file_of(entry("q", key="1"), entry("q", size=3, key="q3")))
    keys = [each.key for each in merged.file.entries]
    assert len(set(keys)) == 3
    assert merged.file.image_order == tuple(keys)


def test_new_regions_are_numbered_behind_those_of_the_first() -> None:
    unreadable = found("region-unreadable", "p", "is null", "draw it", region=1)
    first = entry("p", (A, "x"))
    broken = ViaEntry(
        **{**{f: getattr(first, f) for f in first.__struct_fields__}, "findings": (unreadable,)}
    )
    merged = merge(file_of(broken), file_of(entry("p", (B, "y"))))
    assert [(each.number, each.shape) for each in merged.file.entries[0].regions] == [(0, A), (2, B)]
    assert merged.file.entries[0].findings == (unreadable,)


@pytest.mark.parametrize(
    ("keep", "label", "scene"), [(None, "x", "day"), ("first", "x", "day"), ("last", "z", "dusk")]
)
def test_conflicts_are_listed_with_both_values(keep: Keep | None, label: str, scene: str) -> None:
    files = [
        file_of(entry("p", (B, "b"), (A, "x"), scene="day")),
        file_of(entry("p", (A, "y"), scene="night")),
        file_of(entry("p", (A, "z"), scene="dusk")),
    ]
    merged = merge(*files, keep=keep)
    told = [(each.image, each.region, each.attribute, each.values, each.files) for each in merged.conflicts]
    assert told[0][:3] == ("p", 1, "class")
    assert (("x", "y"), ("a.json", "b.json")) in [each[3:] for each in told]
    assert (("day", "night"), ("a.json", "b.json")) in [each[3:] for each in told]
    assert len(told) == 4
    [picture] = merged.file.entries
    assert picture.regions[1].attributes == {"class": label}
    assert picture.file_attributes == {"scene": scene}


def test_a_value_of_another_type_is_a_conflict() -> None:
    merged = merge(file_of(entry("p", (A, {"n": 1}))), file_of(entry("p", (A, {"n": True}))))
    assert [each.values for each in merged.conflicts] == [(1, True)]


def test_declared_options_are_united_and_contradictions_noticed() -> None:
    first = DeclaredAttribute(type="dropdown", options={"a": "", "b": "bee"})
    second = DeclaredAttribute(type="dropdown", options={"a": "ay", "b": "wasp", "c": ""})
    merged = merge(
        file_of(entry("p"), declared={"kind": first}), file_of(entry("q"), declared={"kind": second})
    )
    assert merged.file.attributes["region"]["kind"].options == {"a": "ay", "b": "bee", "c": ""}
    [finding] = merged.file.findings
    assert (finding.code, finding.where) == ("attribute-conflict", "b.json")
    kept = merge(
        file_of(entry("p"), declared={"kind": first}),
        file_of(entry("q"), declared={"kind": second}),
        keep="last",
    )
    assert kept.file.attributes["region"]["kind"].options == {"a": "ay", "b": "wasp", "c": ""}


def test_the_same_file_twice_is_noticed_and_changes_nothing() -> None:
    file = file_of(entry("p", (A, "x")))
    merged = merge(file, file)
    assert [(each.code, each.where) for each in merged.file.findings] == [("file-repeated", "b.json")]


labels = st.sampled_from(["x", "y", ""])
shapes = st.sampled_from([A, B, C, None])
entries = st.builds(
    lambda name, regions, size: entry(name, *regions, size=size),
    st.sampled_from("pq"),
    st.lists(st.tuples(shapes, labels), max_size=4),
    st.sampled_from([None, 1, 2]),
)
any_file = st.lists(entries, max_size=4, unique_by=lambda each: each.key).flatmap(
    lambda drawn: st.permutations([each.key for each in drawn]).map(
        lambda order: file_of(*drawn, order=order)
    )
)
# one class per shape, so that files cannot contradict each other
harmonious = st.lists(
    st.builds(
        lambda name, chosen: entry(name, *((shape, "x") for shape in chosen)),
        st.sampled_from("pqr"),
        st.lists(shapes, max_size=4),
    ),
    max_size=3,
    unique_by=lambda each: each.key,
).map(lambda drawn: file_of(*drawn))


@given(any_file)
def test_a_file_merged_with_itself_is_itself(file: ViaFile) -> None:
    merged = merge(file, file)
    assert merged.conflicts == []
    assert merged.file.entries == file.entries
    assert merged.file.image_order == file.image_order
    assert (merged.file.num_images, merged.file.num_regions) == (file.num_images, file.num_regions)


@given(harmonious, harmonious)
def test_the_order_of_files_does_not_matter(one: ViaFile, other: ViaFile) -> None:
    assert content(merge(one, other)) == content(merge(other, one))


@given(harmonious, harmonious, harmonious)
def test_merging_is_associative(one: ViaFile, two: ViaFile, three: ViaFile) -> None:
    left = merge(merge(one, two).file, three)
    right = merge(one, merge(two, three).file)
    assert content(left) == content(right) == content(merge(one, two, three))


@given(any_file, any_file)
def test_nothing_is_dropped(one: ViaFile, other: ViaFile) -> None:
    """Every shape of each file is there as often as the file has it, whatever contradicts itself."""
    shapes_of = Counter((each[0], each[1]) for each in content(merge(one, other)).elements())
    for file in (one, other):
        most = Counter((e.filename, r.shape) for e in file.entries for r in e.regions)
        assert all(shapes_of[each] >= number for each, number in most.items())


@given(st.lists(st.sampled_from("pqr"), max_size=6))
def test_the_pictures_of_one_file_are_its_entries(names: list[str]) -> None:
    file = file_of(*(entry(name, (A, "a")) for name in names))
    alone = group_by_picture([file])
    assert [[each.entry for each in group] for group in alone] == [[each] for each in in_view_order(file)]
    # as with a second file that says nothing
    assert alone == group_by_picture([file, file_of()])
