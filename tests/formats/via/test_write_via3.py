"""A written VIA 3 project: what VIA 3 saves itself, what is read again, and what is lost."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from via_records import (
    PLAIN_SHAPES,
    VIA_3_SHAPES,
    coordinates,
    entries,
    entry,
    everything,
    files,
    outlines,
    region,
    sizes,
    texts,
    via_file,
)

from cnnpipe.errors import DataError
from cnnpipe.formats.via.records import DeclaredAttribute, Loss, ViaFile
from cnnpipe.formats.via.via3_project import read_via3_project
from cnnpipe.formats.via.write_via3 import write_via3
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeRect,
    Polygon,
    Polyline,
    Rect,
    Shape,
    shape_to_outline,
)

DECLARED = {
    "t": DeclaredAttribute(type="text", options={}, default_value="d", description="a text"),
    "c": DeclaredAttribute(type="checkbox", options={"1": "one", "2": ""}, default_options={"1": True}),
    "r": DeclaredAttribute(type="radio", options={"x": "X", "y": ""}),
    "d": DeclaredAttribute(type="dropdown", options={"x": "X"}, default_options={"x": True}),
    "i": DeclaredAttribute(type="image", options={"x": "x.png"}),
}
attributes = st.fixed_dictionaries(
    {},
    optional={
        "t": texts,
        "c": st.dictionaries(st.sampled_from(["1", "2"]), st.just(True)),
        "r": st.sampled_from(["x", "y", ""]),
        "d": texts,
        "i": st.just("x"),
    },
)
shapes: st.SearchStrategy[Shape] = st.one_of(
    st.sampled_from([shape for shape in (*PLAIN_SHAPES, *VIA_3_SHAPES) if not isinstance(shape, Ellipse)]),
    st.builds(Ellipse, coordinates, coordinates, sizes, sizes),
    st.builds(Rect, coordinates, coordinates, sizes, sizes),
    outlines.map(lambda xy: Polygon(*xy)),
    outlines.map(lambda xy: Polyline(*xy)),
)
names = texts.filter(lambda name: "\0" not in name)


def write(file: ViaFile, **options: str) -> tuple[dict[str, Any], list[Loss]]:
    content, losses = write_via3(file, **options)
    value: dict[str, Any] = json.loads(content)
    return value, losses


def whats(losses: list[Loss]) -> list[str]:
    return [loss.what for loss in losses if loss.what != "size of the picture in bytes"]


def value_of(value: Any, kind: str = "text", name: str = "a") -> tuple[Any, list[Loss]]:
    """Return a region's value as VIA 3 holds it."""
    declared = {name: DeclaredAttribute(type=kind, options={})}
    file = via_file(
        entry("a.png", region(Rect(0, 0, 1, 1), 4, **{name: value}), size_bytes=None),
        attributes={"region": declared, "file": {}},
    )
    project, losses = write(file)
    [row] = project["metadata"].values()
    return row["av"]["1"], losses


@st.composite
def projects(draw: st.DrawFn) -> ViaFile:
    file = draw(files(entries(names=names, shapes=shapes, of_regions=attributes, of_files=attributes)))
    return msgspec.structs.replace(
        file,
        attributes={"region": DECLARED, "file": DECLARED},
        image_order=tuple(draw(st.permutations(file.image_order))),
        settings={"project": {"name": "p"}},
    )


@given(projects())
def test_what_is_written_is_read_again(file: ViaFile) -> None:
    """Up to its form: the key of an entry is the number of its file, and sizes in bytes are not held."""
    content, losses = write_via3(file)
    again = read_via3_project(content, where="p.json")
    assert again.attributes == file.attributes
    assert again.settings == file.settings
    assert [finding.code for finding in again.findings] in ([], ["media-left-out"])
    names_in_order = {each.key: each.filename for each in file.entries}
    assert [each.filename for each in again.entries] == list(names_in_order.values())
    for read, each in zip(again.entries, file.entries, strict=True):
        assert read.file_attributes == each.file_attributes
        assert [(one.shape, one.attributes) for one in read.regions] == [
            (one.shape, one.attributes) for one in each.regions
        ]
    shown = {each.key: each.filename for each in again.entries}
    assert [shown[key] for key in again.image_order] == [names_in_order[key] for key in file.image_order]
    assert whats(losses) == []
    assert write_via3(again)[0] == content


def test_the_form() -> None:
    file = via_file(
        entry("a.png", Rect(1, 2, 3.5, 4), size_bytes=None, file_attributes={"good": "yes"}),
        entry("b/c.png", size_bytes=None),
        order=("b/c.png-1", "a.png-1"),
    )
    value, losses = write(file, name="n")
    assert losses == []
    assert list(value) == ["project", "config", "attribute", "file", "metadata", "view"]
    assert value["project"] == {
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": "n",
        "data_format_version": "3.1.1",
        "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        "created": 0,
        "vid_list": ["2", "1"],
    }
    assert value["config"]["file"]["loc_prefix"] == {"1": "", "2": "", "3": "", "4": ""}
    assert value["config"]["ui"].keys() == {
        "file_content_align",
        "file_metadata_editor_visible",
        "spatial_metadata_editor_visible",
        "spatial_region_label_attribute_id",
        "gtimeline_visible_row_count",
    }
    assert value["attribute"] == {
        "1": {
            "aname": "class",
            "anchor_id": "FILE1_Z0_XY1",
            "type": 1,
            "desc": "",
            "options": {},
            "default_option_id": "",
        },
        "2": {
            "aname": "good",
            "anchor_id": "FILE1_Z0_XY0",
            "type": 1,
            "desc": "",
            "options": {},
            "default_option_id": "",
        },
    }
    assert value["file"] == {
        "1": {"fid": "1", "fname": "a.png", "type": 2, "loc": 1, "src": "a.png"},
        "2": {"fid": "2", "fname": "b/c.png", "type": 2, "loc": 3, "src": "b/c.png"},
    }
    assert value["metadata"] == {
        "1_000001": {"vid": "1", "flg": 0, "z": [], "xy": [2, 1, 2, 3.5, 4], "av": {"1": "cat"}},
        "1_000002": {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"2": "yes"}},
    }
    assert value["view"] == {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}}


@pytest.mark.parametrize(
    ("name", "folder", "location"),
    [
        ("a.png", "", 1),
        ("b/a.png", "", 3),
        ("file:///b/a.png", "", 3),
        ("http://x/a.png", "", 2),
        ("https://x/a.png", "pictures", 2),
        ("a.png", "pictures", 3),
    ],
)
def test_where_a_picture_is(name: str, folder: str, location: int) -> None:
    value, _ = write(via_file(entry(name)), default_filepath=folder)
    assert value["file"]["1"]["loc"] == location
    assert value["config"]["file"]["loc_prefix"]["3"] == ("pictures/" if folder else "")


@pytest.mark.parametrize(
    ("shape", "xy"),
    list(
        zip(
            [shape for shape in (*PLAIN_SHAPES, *VIA_3_SHAPES) if not isinstance(shape, Ellipse)]
            + [Ellipse(7, 8, 2, 1)],
            [
                [2, 10, 20, 30.5, 40],
                [3, 50, 60, 7.125],
                [7, 10, 10, 40, 10, 40, 40, 12.5, 38],
                [6, 1, 4, 2, 5, 30, 60],
                [1, 3, 4],
                [5, 1, 2, 30, 40],
                [8, 5, 30, 20, 10, 60, 25, 30, 70],
                [9, 0, 5, 10, 5, 5, 10],
                [4, 7, 8, 2, 1],
            ],
            strict=True,
        )
    ),
)
def test_shapes(shape: Shape, xy: list[float]) -> None:
    value, losses = write(via_file(entry("a.png", shape)))
    assert value["metadata"]["1_000001"]["xy"] == xy
    assert whats(losses) == []


def test_a_turned_ellipse_is_drawn_as_a_polygon() -> None:
    shape = Ellipse(70, 80, 20, 10, 0.5)
    value, losses = write(via_file(entry("a.png", shape, Ellipse(1, 2, 3, 3, 0.5))))
    outline = shape_to_outline(shape)
    assert outline is not None
    assert value["metadata"]["1_000001"]["xy"] == [7, *outline.ravel().tolist()]
    assert value["metadata"]["1_000002"]["xy"] == [4, 1, 2, 3, 3]
    assert whats(losses) == ["turned ellipse, drawn as a polygon", "turn of an ellipse that is a circle"]


@pytest.mark.parametrize(
    "shape",
    [
        Rect(0, math.nan, 1, 1),
        Circle(0, 0, -1),
        Polygon((1, 2, 3), (1, 2)),
        ExtremeRect((1, 2), (1,)),
        ExtremeRect((1, 2, 3, math.inf), (1, 2, 3, 4)),
    ],
)
def test_a_shape_that_no_reader_accepts_is_refused(shape: Shape) -> None:
    with pytest.raises(DataError, match=r"a\.png: a region cannot be written"):
        write_via3(via_file(entry("a.png", shape)))


@pytest.mark.parametrize(
    ("value", "kind", "written", "what"),
    [
        ("x", "text", "x", None),
        ("x", "radio", "x", None),
        ("", "checkbox", "", None),
        ({"a": True, "b": True}, "checkbox", "a,b", None),
        ({}, "checkbox", "", None),
        ({"a": True, "b": False}, "checkbox", "a", "option that is noted as not ticked"),
        (
            {"a,b": True},
            "checkbox",
            "a,b",
            "option without a name, or with a comma in it or blanks around it",
        ),
        ("x", "checkbox", "x", "text in a checkbox, taken as its options"),
        ({"a": True}, "text", "a", "options of a checkbox in another attribute, which become a text"),
        (None, "text", "", "null, which becomes an empty text"),
        (3.0, "text", "3", "value that is no text, and becomes one"),
        (True, "text", "true", "value that is no text, and becomes one"),
        ([1, "ä"], "text", '[1,"ä"]', "value that is no text, and becomes one"),
        (math.nan, "text", "null", "value that is no text, and becomes one"),
    ],
)
def test_values_are_texts(value: Any, kind: str, written: str, what: str | None) -> None:
    held, losses = value_of(value, kind)
    assert held == written
    assert losses == ([] if what is None else [Loss(what=what, where="a.png", region=4, detail="a")])


def test_what_is_lost_of_a_project() -> None:
    declared = {
        "o": DeclaredAttribute(type="odd", options={}),
        "d": DeclaredAttribute(type="dropdown", options={"x": ""}, default_options={"x": False}),
    }
    file = via_file(
        entry("a.png", region(None, 2, o="x"), key="7", width=4, height=3),
        attributes={"region": declared, "file": {}},
        settings={"core": {"buffer_size": 18}, "project": {"name": "p"}, "own": 3},
    )
    value, losses = write(file)
    assert value["project"]["pname"] == "p"
    assert losses == [
        Loss(
            what="type of an attribute that VIA 3 does not know", where="", detail="region attribute 'o': odd"
        ),
        Loss(what="default option that is set to false", where="", detail="region attribute 'd'"),
        Loss(what="settings of the project", where="", detail="core: buffer_size"),
        Loss(what="settings of the project", where="", detail="own: own"),
        Loss(what="keys that are not file name and size", where="", detail="1 pictures"),
        Loss(what="size of the picture in bytes", where="a.png", detail="5 bytes"),
        Loss(what="size of the picture in pixels", where="a.png", detail="4 x 3"),
        Loss(what="region without a shape", where="a.png", region=2),
    ]


def test_the_same_file_gives_the_same_bytes() -> None:
    assert write_via3(everything()) == write_via3(everything())
