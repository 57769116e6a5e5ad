"""A written project: what is read again, and what VIA needs to open it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.errors import DataError
from cnnpipe.formats.via.read import parse_via, read_via
from cnnpipe.formats.via.records import DeclaredAttribute
from cnnpipe.formats.via.write import WrittenAttribute, WrittenEntry, WrittenRegion, write_project
from cnnpipe.geometry.shapes import Circle, Ellipse, Point, Polygon, Polyline, Rect, Shape

CLASS = WrittenAttribute(type="dropdown", description="the class", options={"cat": "", "dog": "a dog"})
SCORE = WrittenAttribute(type="text", description="how sure", options={})
REVIEW = WrittenAttribute(type="radio", description="", options={"machine": "", "checked": ""})

coordinates = st.floats(-1e6, 1e6, allow_nan=False)
sizes = st.floats(0, 1e6)
points = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=6).filter(lambda p: p[0] != p[-1])
shapes: st.SearchStrategy[Shape] = st.one_of(
    st.builds(Rect, coordinates, coordinates, sizes, sizes),
    st.builds(Circle, coordinates, coordinates, sizes),
    st.builds(Ellipse, coordinates, coordinates, sizes, sizes, st.floats(-4, 4)),
    points.map(lambda p: Polygon(tuple(x for x, _ in p), tuple(y for _, y in p))),
    points.map(lambda p: Polyline(tuple(x for x, _ in p), tuple(y for _, y in p))),
    st.builds(Point, coordinates, coordinates),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
attributes = st.dictionaries(texts, st.one_of(texts, st.floats(0, 1), st.booleans()), max_size=3)
regions = st.builds(WrittenRegion, shape=shapes, attributes=attributes)
entries = st.builds(
    WrittenEntry,
    filename=texts.filter(str.strip),
    size_bytes=st.integers(1, 10**9) | st.just(-1),
    regions=st.lists(regions, max_size=3).map(tuple),
    file_attributes=attributes,
)
lists_of_entries = st.lists(entries, max_size=4, unique_by=lambda each: f"{each.filename}{each.size_bytes}")


def write(path: Path, written: list[WrittenEntry], **changes: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "name": "found",
        "region_attributes": {"class": CLASS, "score": SCORE},
        "file_attributes": {"cnnpipe_review": REVIEW},
        "default_filepath": "",
    }
    write_project(path, written, **(parts | changes))
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def one(filename: str = "a.png", *written: Shape, size_bytes: int = 5) -> WrittenEntry:
    found = tuple(WrittenRegion(shape=shape, attributes={"class": "cat"}) for shape in written)
    return WrittenEntry(filename=filename, size_bytes=size_bytes, regions=found, file_attributes={})


@given(lists_of_entries)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, written: list[WrittenEntry]
) -> None:
    path = tmp_path_factory.mktemp("via") / "project.json"
    write(path, written)
    file = read_via(path, where="project.json")
    assert [
        (
            entry.filename,
            entry.size_bytes or -1,
            [(region.shape, region.attributes) for region in entry.regions],
            entry.file_attributes,
        )
        for entry in file.entries
    ] == [
        (
            entry.filename,
            entry.size_bytes,
            [(region.shape, region.attributes) for region in entry.regions],
            entry.file_attributes,
        )
        for entry in written
    ]
    assert file.findings == ()
    assert [finding for entry in file.entries for finding in entry.findings] == []


def test_the_attributes_are_declared(tmp_path: Path) -> None:
    write(tmp_path / "project.json", [one()])
    file = parse_via((tmp_path / "project.json").read_bytes(), where="project.json")
    assert (file.kind, file.version) == ("project-json", "2.0.10")
    assert file.attributes == {
        "region": {
            "class": DeclaredAttribute(type="dropdown", options={"cat": "", "dog": "a dog"}),
            "score": DeclaredAttribute(type="text", options={}),
        },
        "file": {"cnnpipe_review": DeclaredAttribute(type="radio", options={"machine": "", "checked": ""})},
    }


def test_it_holds_all_that_via_needs_and_nothing_it_stops_at(tmp_path: Path) -> None:
    value = write(tmp_path / "project.json", [one("b.png"), one("a.png", Rect(1, 2, 3, 4))])
    assert value["_via_settings"].keys() == {"ui", "core", "project"}
    assert list(value["_via_img_metadata"]) == value["_via_image_id_list"] == ["b.png5", "a.png5"]
    for entry in value["_via_img_metadata"].values():
        assert entry.keys() == {"filename", "size", "regions", "file_attributes"}
        assert isinstance(entry["regions"], list)
    for part in ("region", "file"):
        for attribute in value["_via_attributes"][part].values():
            is_text = attribute["type"] == "text"
            assert ("default_value" if is_text else "options") in attribute
            assert is_text or attribute["default_options"] == {}


@pytest.mark.parametrize(
    ("given_path", "written"),
    [("", ""), ("pictures", "pictures/"), ("/data/x/", "/data/x/"), ("C:\\x\\", "C:\\x\\")],
)
def test_the_folder_of_the_pictures_ends_with_a_slash(tmp_path: Path, given_path: str, written: str) -> None:
    value = write(tmp_path / "project.json", [one()], default_filepath=given_path)
    assert value["_via_settings"]["core"]["default_filepath"] == written


def test_a_picture_of_another_size_is_another_picture(tmp_path: Path) -> None:
    value = write(tmp_path / "project.json", [one(size_bytes=5), one(size_bytes=6)])
    assert value["_via_image_id_list"] == ["a.png5", "a.png6"]


def test_the_same_picture_twice_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png stands in it twice"):
        write(tmp_path / "project.json", [one(), one()])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "shape",
    [Rect(0, math.nan, 1, 1), Circle(0, 0, math.inf), Rect(0, 0, -1, 1), Polygon((1, 2, 3), (1, 2))],
)
def test_a_shape_that_no_reader_accepts_is_refused(tmp_path: Path, shape: Shape) -> None:
    with pytest.raises(DataError, match=r"a\.png: a region cannot be written"):
        write(tmp_path / "project.json", [one("a.png", shape)])
