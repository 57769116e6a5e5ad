"""Projects of VIA 3: pictures with their regions; videos, sounds and time are counted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from via3_files import ATTRIBUTES, codes, file, head, line, project, read, read_lines, row, the_finding

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.records import DeclaredAttribute, all_findings
from cnnpipe.formats.via.via3_metadata import parse_xy
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    ExtremeRect,
    Line,
    Point,
    Polygon,
    Polyline,
    Rect,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
numbers = st.floats(-1e6, 1e6)


def test_a_project_is_read_with_its_regions_attributes_and_order() -> None:
    read_file = read(
        project(
            {"1": file("a.jpg"), "2": file("b.jpg")},
            [
                row("1", xy=(2, 1, 2, 3, 4), av={"1": "0", "2": "0,2"}),
                row("1", av={"3": "a caption"}),
                row("2", xy=(1, 5, 6), av={"1": "1", "2": ""}),
                row("1", xy=(3, 1, 2, 3), av={}),
            ],
            project={"pname": "Our project", "vid_list": ["2", "1"]},
        )
    )
    first, second = read_file.entries
    assert (read_file.kind, read_file.version) == ("via3-project", "3")
    assert (read_file.num_images, read_file.num_regions) == (2, 3)
    assert (first.key, first.filename, first.size_bytes) == ("1", "a.jpg", None)
    assert first.file_attributes == {"caption": "a caption"}
    assert [(each.number, each.shape, each.attributes) for each in first.regions] == [
        (0, Rect(1, 2, 3, 4), {"class": "0", "marks": {"0": True, "2": True}}),
        (1, Circle(1, 2, 3), {}),
    ]
    assert second.regions[0].attributes == {"class": "1", "marks": {}}
    assert read_file.image_order == ("2", "1")
    assert read_file.attributes == {
        "region": {
            "class": DeclaredAttribute(
                type="dropdown",
                options={"0": "cat", "1": "dog"},
                description="what it is",
                default_options={"1": True},
            ),
            "marks": DeclaredAttribute(type="checkbox", options={"0": "big", "1": "wet", "2": "old"}),
        },
        "file": {"caption": DeclaredAttribute(type="text", options={})},
    }
    assert read_file.settings == {"project": {"name": "Our project"}}
    assert all_findings(read_file) == []


@pytest.mark.parametrize(
    ("xy", "shape"),
    [
        ([1, 1.5, 2], Point(1.5, 2)),
        ([2, 1, 2, 3, 4], Rect(1, 2, 3, 4)),
        ([3, 1, 2, 3], Circle(1, 2, 3)),
        ([4, 1, 2, 3, 4], Ellipse(1, 2, 3, 4, 0)),
        ([5, 1, 2, 3, 4], Line(1, 2, 3, 4)),
        ([6, 1, 2, 3, 4, 1, 2], Polyline((1, 3, 1), (2, 4, 2))),
        ([7, 0, 0, 4, 0, 2, 3], Polygon((0, 4, 2), (0, 0, 3))),
        ([7, 0, 0, 4, 0, 2, 3, 0, 0], Polygon((0, 4, 2), (0, 0, 3))),
        ([8, 5, 0, 9, 4, 5, 8, 1, 4], ExtremeRect((5, 9, 5, 1), (0, 4, 8, 4))),
        ([9, 0, 0, 2, 0, 1, 1], ExtremeCircle((0, 2, 1), (0, 0, 1))),
    ],
)
def test_the_nine_shapes(xy: list[float], shape: Any) -> None:
    assert parse_xy(xy) == shape
    assert read(project(rows=[row(xy=xy)])).entries[0].regions[0].shape == shape
    assert read_lines(*head(), line("a.jpg", xy)).entries[0].regions[0].shape == shape


@pytest.mark.parametrize(
    ("xy", "what"),
    [
        ([2, 1, 2, 3], "its rectangle has 3 coordinates instead of 4"),
        ([1, 1, 2, 3], "its point has 3 coordinates instead of 2"),
        ([8, 1, 2, 3, 4], "its extreme rectangle has 4 coordinates instead of 8"),
        ([9, 1, 2, 3, 4, 5, 6, 7, 8], "its extreme circle has 8 coordinates instead of 6"),
        ([7, 1, 2, 3], "its polygon has 3 coordinates instead of an even number"),
        ([2, 1, 2, -3, 4], "its size is negative: -3"),
        ([10, 1, 2], "its shape has the number 10; VIA 3 knows 1 to 9"),
        ([0], "its shape has the number 0"),
        ([2, "1", 2, 3, 4], "its coordinates are not a list of finite numbers"),
        ([2, float("nan"), 2, 3, 4], "its coordinates are not a list of finite numbers"),
        ([2, 10**400, 2, 3, 4], "its coordinates are not a list of finite numbers"),
        ([2, True, 2, 3, 4], "its coordinates are not a list of finite numbers"),
        ([[2], 1, 2, 3, 4], "its coordinates are not a list of finite numbers"),
        ("2,1,2,3,4", "its coordinates are not a list of finite numbers"),
        ({"x": 1}, "its coordinates are not a list of finite numbers"),
    ],
)
def test_a_region_that_cannot_be_read_is_a_finding(xy: Any, what: str) -> None:
    read_file = read(project(rows=[row(xy=(1, 2, 3)), row(xy=xy), row(xy=(1, 4, 5))]))
    finding = the_finding(read_file)
    assert [region.number for region in read_file.entries[0].regions] == [0, 2]
    assert (finding.code, finding.where, finding.region) == ("region-unreadable", "a.jpg", 1)
    assert finding.what.startswith(f"metadata 1_x: {what}")
    assert read_file.num_regions == 3


def test_videos_sounds_and_time_are_counted_and_named() -> None:
    files = {
        "1": file("a.jpg"),
        "2": file("b.mp4", kind=4),
        "3": file("c.wav", kind=8),
        **{str(n): file(f"v{n}.mp4", kind=4) for n in range(4, 10)},
    }
    rows = [
        row("1", xy=(1, 2, 3)),
        row("1", z=[1, 2], av={"1": "0"}),
        row("2", z=[1.5], xy=(2, 1, 2, 3, 4)),
        row("2", z=[1.5, 2]),
        row("3", av={"3": "x"}),
    ]
    read_file = read(project(files, rows))
    finding = the_finding(read_file)
    assert [entry.filename for entry in read_file.entries] == ["a.jpg"]
    assert (read_file.num_images, read_file.num_regions) == (1, 1)
    assert (finding.code, finding.where) == ("media-left-out", "via3.json")
    assert finding.what == (
        "only pictures are read; left out are videos: 7 (b.mp4, v4.mp4, v5.mp4, v6.mp4, v7.mp4, ...); "
        "sounds: 1 (c.wav); segments of time: 2; regions in frames: 1; attributes of files: 1"
    )


@pytest.mark.parametrize(
    ("of_file", "prefixes", "filename"),
    [
        pytest.param(file("a.jpg"), {}, "a.jpg", id="local"),
        pytest.param(
            file("a.jpg", src="p/a.jpg"), {"1": "/data/"}, "/data/p/a.jpg", id="local, with a source"
        ),
        pytest.param(
            file("a.jpg", loc=2, src="b.jpg"), {"2": "http://x.org/"}, "http://x.org/b.jpg", id="address"
        ),
        pytest.param(file("a.jpg", loc=3, src="c.jpg"), {"3": "D:\\p\\"}, "D:\\p\\c.jpg", id="path"),
        pytest.param(file("a.jpg", loc="3", src="c.jpg"), {"3": 5}, "c.jpg", id="a prefix that is no text"),
        pytest.param(file("a.jpg", loc=3), {"3": "/p/"}, "a.jpg", id="no source"),
    ],
)
def test_paths(of_file: Any, prefixes: Any, filename: str) -> None:
    read_file = read(project({"1": of_file}, config={"file": {"loc_prefix": prefixes}}))
    assert read_file.entries[0].filename == filename
    assert all_findings(read_file) == []


def test_a_picture_inside_the_project_is_named_and_told() -> None:
    read_file = read(project({"1": file("a.jpg", loc=4, src="data:image/png;base64,AAAA")}))
    assert read_file.entries[0].filename == "a.jpg"
    assert the_finding(read_file).what.startswith("1 picture stands in the project itself (a.jpg)")


def test_a_sound_inside_the_project_is_no_picture() -> None:
    read_file = read(project({"1": file("a.ogg", loc=4, src="data:audio/ogg;base64,AAAA") | {"type": 8}}))
    assert (read_file.num_images, len(read_file.entries)) == (0, 0)
    assert all("picture stands" not in each.what for each in all_findings(read_file))


def test_a_project_of_format_3_1_0() -> None:
    value = project({"1": file("a.jpg", src="a.jpg"), "2": file("b.jpg", src="b.jpg")})
    value["project"] = {"pname": "Old", "data_format_version": "3.1.0"}
    value |= {"config": {"file": {"path": "old/"}}, "vid_list": ["2", "1"]}
    read_file = read(value)
    assert read_file.version == "3.1.0"
    assert [entry.filename for entry in read_file.entries] == ["old/a.jpg", "old/b.jpg"]
    assert read_file.image_order == ("2", "1")


def test_a_view_of_several_files_counts_for_the_first() -> None:
    value = project({"1": file("a.jpg"), "2": file("b.jpg")}, [row("7", xy=(1, 2, 3))])
    read_file = read(value | {"view": {"7": {"fid_list": [2, 1]}}})
    assert [(each.filename, len(each.regions)) for each in read_file.entries] == [("a.jpg", 0), ("b.jpg", 1)]
    assert the_finding(read_file).what.startswith("1 views show several files")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0,2", {"0": True, "2": True}),
        ("2", {"2": True}),
        (2, {"2": True}),
        ("", {}),
        ("0,9", {"0": True, "9": True}),
        ("a dog, asleep", "a dog, asleep"),
        (None, None),
        ({"0": True}, {"0": True}),
    ],
)
def test_checkboxes(value: Any, expected: Any) -> None:
    read_file = read(project(rows=[row(xy=(1, 2, 3), av={"2": value})]))
    assert read_file.entries[0].regions[0].attributes == {"marks": expected}


def test_options_are_texts_and_unknown_attributes_keep_their_number() -> None:
    read_file = read(project(rows=[row(xy=(1, 2, 3), av={"1": 1, "9": 1, "3": 7})]))
    assert read_file.entries[0].regions[0].attributes == {"class": "1", "9": 1, "caption": 7}


def test_two_attributes_of_one_name_stay_two() -> None:
    attributes = {"1": ATTRIBUTES["1"], "5": ATTRIBUTES["1"], "6": {**ATTRIBUTES["3"], "aname": "class"}}
    read_file = read(project(rows=[row(xy=(1, 2, 3), av={"1": "0", "5": "1"})], attributes=attributes))
    assert read_file.entries[0].regions[0].attributes == {"class": "0", "class (5)": "1"}
    assert (list(read_file.attributes["region"]), list(read_file.attributes["file"])) == (
        ["class", "class (5)"],
        ["class"],
    )
    assert the_finding(read_file).code == "attribute-conflict"


def test_attributes_of_a_picture_that_contradict_are_told() -> None:
    read_file = read(project(rows=[row(av={"3": "a"}), row(av={"3": "b"}), row(av={"3": "a"})]))
    assert read_file.entries[0].file_attributes == {"caption": "a"}
    assert (the_finding(read_file).code, the_finding(read_file).where) == ("attribute-conflict", "a.jpg")


def test_rows_of_no_file_and_files_without_a_name_are_told() -> None:
    read_file = read(project({"1": file("a.jpg"), "2": file(""), "3": None}, [row("8", xy=(1, 2, 3)), None]))
    assert codes(read_file) == ["entry-unreadable", "entry-unreadable", "region-unreadable"]
    what = "2 rows of metadata belong to no file (0_x, 1_x)"
    assert all_findings(read_file)[2].what == what
    assert [entry.filename for entry in read_file.entries] == ["a.jpg"]


@pytest.mark.parametrize("part", ["file", "metadata", "view"])
def test_a_project_without_its_parts_is_refused(part: str) -> None:
    with pytest.raises(AnnotationError, match=rf"via3.json: `{part}` is not an object\n  fix: "):
        read(project() | {part: []})


@given(json_values, json_values, json_values, json_values)
def test_no_value_is_a_crash(one: Any, two: Any, three: Any, four: Any) -> None:
    rows = [{"vid": "1", "z": one, "xy": two, "av": three}, {"vid": "1", "z": [], "xy": [], "av": two}, four]
    files = {"1": file("a.jpg"), "2": one, "3": {"fname": two, "src": three, "loc": four, "type": one}}
    attributes = {"1": one, "2": {"aname": two, "type": three, "options": four, "default_option_id": one}}
    value = project(files, rows, attributes=attributes, project={"vid_list": one, "pname": two})
    read(value | {"view": {"1": {"fid_list": ["1"]}, "2": two, "3": {"fid_list": three}}})
    read(project(config=one, attributes=two, project=three))


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=8).filter(lambda xys: xys[0] != xys[-1]))
def test_outlines_keep_every_point(points: list[tuple[float, float]]) -> None:
    xs, ys = zip(*points, strict=True)
    flat = [number for point in points for number in point]
    assert parse_xy([7, *flat]) == Polygon(xs, ys)
    assert parse_xy([6, *flat]) == Polyline(xs, ys)


def test_an_outline_of_very_many_points_is_read_as_a_short_one() -> None:
    points = [float(n % 1000) for n in range(40_000)]
    rows = [row(xy=[7, *points]), row(xy=[7, *points, "1", 2]), row(xy=[7, *points, 1])]
    read_file = read(project(rows=rows))
    assert read_file.entries[0].regions[0].shape == Polygon(tuple(points[0::2]), tuple(points[1::2]))
    assert [finding.region for finding in all_findings(read_file)] == [1, 2]
