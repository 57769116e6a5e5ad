"""Written annotations JSON: what VIA 1 and 2 need to import it, what reads back, and what is lost."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from via_records import (
    PLAIN_SHAPES,
    VIA_3_SHAPES,
    entries,
    entry,
    everything,
    files,
    held_by,
    region,
    via_file,
)

from cnnpipe.errors import DataError
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import DeclaredAttribute, Loss, ViaFile
from cnnpipe.formats.via.write_annotations_json import write_annotations_1, write_annotations_2
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    Polygon,
    Polyline,
    Rect,
    Shape,
)

WRITERS = {"1": write_annotations_1, "2": write_annotations_2}
versions = pytest.mark.parametrize("version", ["1", "2"])


def write(file: ViaFile, version: str = "2") -> tuple[dict[str, Any], list[Loss]]:
    content, losses = WRITERS[version](file)
    value: dict[str, Any] = json.loads(content)
    return value, losses


def shape_of(shape: Shape, version: str = "2") -> dict[str, Any]:
    [only] = write(via_file(entry("a.png", shape)), version)[0].values()
    regions = only["regions"]
    written: dict[str, Any] = (regions["0"] if version == "1" else regions[0])["shape_attributes"]
    return written


@given(files(entries()))
def test_via_2_reads_back_what_was_written(file: ViaFile) -> None:
    content, losses = write_annotations_2(file)
    again = parse_via(content, where="a.json")
    assert list(map(held_by, again.entries)) == list(map(held_by, file.entries))
    assert [finding for each in again.entries for finding in each.findings] == []
    assert losses == []


@given(files(entries()))
def test_via_1_reads_back_what_was_written(file: ViaFile) -> None:
    content, losses = write_annotations_1(file)
    again = parse_via(content, where="a.json")
    assert list(map(held_by, again.entries)) == list(map(held_by, file.entries))
    assert {loss.what for loss in losses} <= {"turn of an ellipse, which VIA 1 keeps but does not draw"}


def test_the_form_of_via_2() -> None:
    value, _ = write(via_file(entry("a.png", Rect(1, 2, 3.5, 4)), entry("b.png", size_bytes=None)))
    assert value == {
        "a.png5": {
            "filename": "a.png",
            "size": 5,
            "regions": [
                {
                    "shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 3.5, "height": 4},
                    "region_attributes": {"class": "cat"},
                }
            ],
            "file_attributes": {},
        },
        "b.png-1": {"filename": "b.png", "size": -1, "regions": [], "file_attributes": {}},
    }


def test_the_form_of_via_1() -> None:
    value, _ = write(via_file(entry("a.png", Circle(1, 2, 3), region(None, 7, a="b"))), "1")
    assert value == {
        "a.png5": {
            "fileref": "",
            "size": 5,
            "filename": "a.png",
            "base64_img_data": "",
            "file_attributes": {},
            "regions": {
                "0": {
                    "shape_attributes": {"name": "circle", "cx": 1, "cy": 2, "r": 3},
                    "region_attributes": {"class": "cat"},
                },
                "1": {"shape_attributes": {}, "region_attributes": {"a": "b"}},
            },
        }
    }


@versions
def test_the_same_file_gives_the_same_bytes(version: str) -> None:
    assert WRITERS[version](everything()) == WRITERS[version](everything())


@pytest.mark.parametrize(
    ("version", "xs", "written"),
    [
        ("1", (1, 2, 3), [1, 2, 3, 1]),
        ("1", (1,), [1, 1]),
        ("2", (1, 2, 3), [1, 2, 3]),
        ("2", (1,), [1]),
        ("2", (1, 2, 1), [1, 2, 1, 1]),
        ("2", (), []),
    ],
)
def test_a_polygon_ends_at_its_start_in_via_1(
    version: str, xs: tuple[float, ...], written: list[float]
) -> None:
    assert shape_of(Polygon(xs, xs), version)["all_points_x"] == written
    assert shape_of(Polyline(xs, xs), version)["all_points_x"] == list(xs)


@pytest.mark.parametrize(
    ("number", "text"), [(12.0, "12"), (-0.0, "0"), (0.1, "0.1"), (2.0**60, "1.152921504606847e18")]
)
def test_numbers_are_as_javascript_has_them(number: float, text: str) -> None:
    content, _ = write_annotations_2(via_file(entry("a.png", region(Circle(number, 0, 0), 0, a=number))))
    assert f'"cx":{text},'.encode() in content
    assert f'"a":{text}}}'.encode() in content


@pytest.mark.parametrize("number", [math.nan, math.inf, 10**400])
def test_an_attribute_that_is_no_number_of_json_becomes_null(number: float) -> None:
    file = via_file(entry("a.png", region(None, 3, a=number, b={"c": [number]})))
    value, losses = write(file)
    assert value["a.png5"]["regions"][0]["region_attributes"] == {"a": None, "b": {"c": [None]}}
    what = "number that JavaScript does not have, written as the nearest or as null"
    assert losses == [
        Loss(what=what, where="a.png", region=3, detail="a"),
        Loss(what=what, where="a.png", region=3, detail="b"),
    ]


@pytest.mark.parametrize(
    ("number", "is_kept"), [(2**53, True), (2**53 + 1, False), (-(2**60), True), (0.1, True)]
)
def test_an_integer_that_javascript_would_round_is_a_loss(number: float, is_kept: bool) -> None:
    value, losses = write(via_file(entry("a.png", region(None, 0, a=number))))
    assert (value["a.png5"]["regions"][0]["region_attributes"]["a"] == number) is is_kept
    assert (losses == []) is is_kept


@versions
@pytest.mark.parametrize(
    ("shape", "drawn", "what"),
    [
        (VIA_3_SHAPES[0], Polyline((1, 30), (2, 40)), "line, drawn as a polyline"),
        (VIA_3_SHAPES[1], Rect(5, 10, 55, 60), "extreme rectangle, drawn as a rect"),
        (VIA_3_SHAPES[2], Circle(5, 5, 5), "extreme circle, drawn as a circle"),
        (
            ExtremeCircle((0, 1, 2), (0, 1, 2)),
            Polyline((0, 1, 2), (0, 1, 2)),
            "extreme circle whose points lie on one line, drawn as a polyline",
        ),
    ],
)
def test_shapes_of_via_3_are_drawn_otherwise(version: str, shape: Shape, drawn: Shape, what: str) -> None:
    content, losses = WRITERS[version](via_file(entry("a.png", shape)))
    assert parse_via(content, where="a").entries[0].regions[0].shape == drawn
    assert losses == [Loss(what=what, where="a.png", region=0)]


@pytest.mark.parametrize("shape", PLAIN_SHAPES)
def test_no_shape_of_via_2_is_lost(shape: Shape) -> None:
    assert write(via_file(entry("a.png", shape)))[1] == []


@versions
@pytest.mark.parametrize(
    "shape",
    [Rect(0, math.nan, 1, 1), Circle(0, 0, math.inf), Rect(0, 0, -1, 1), Polygon((1, 2, 3), (1, 2))],
)
def test_a_shape_that_no_reader_accepts_is_refused(version: str, shape: Shape) -> None:
    with pytest.raises(DataError, match=r"a\.png: a region cannot be written"):
        WRITERS[version](via_file(entry("a.png", shape)))


@versions
def test_keys_differ(version: str) -> None:
    same = [entry("a.png", key=key) for key in ("k", "k", "", "a.png5", "k")]
    value, losses = write(via_file(*same, order=()), version)
    assert list(value) == ["k", "a.png5#2", "a.png5#3", "a.png5", "a.png5#4"]
    moved = [loss.detail for loss in losses if loss.what == "key that another entry has"]
    assert moved == ["'k' becomes 'a.png5#2'", "'' becomes 'a.png5#3'", "'k' becomes 'a.png5#4'"]


def test_via_1_finds_a_picture_by_name_and_size_alone() -> None:
    _, losses = write(via_file(entry("a.png", key="17"), entry("b.png", key="18", size_bytes=None)), "1")
    what = "key that is not file name and size, by which VIA 1 finds a picture"
    assert losses == [Loss(what=what, where="a.png", detail="'17'")]


def test_via_1_does_not_turn_an_ellipse() -> None:
    _, losses = write(via_file(entry("a.png", Ellipse(0, 0, 2, 1), Ellipse(0, 0, 2, 1, 0.5))), "1")
    what = "turn of an ellipse, which VIA 1 keeps but does not draw"
    assert losses == [Loss(what=what, where="a.png", region=1)]


def test_via_2_passes_over_attributes_without_a_name() -> None:
    file = via_file(
        entry("a.png", region(None, 0, **{"": "x", "b": "y"}), file_attributes={"": "x", "c": "z"})
    )
    value, losses = write(file)
    assert value["a.png5"]["regions"][0]["region_attributes"] == {"b": "y"}
    assert value["a.png5"]["file_attributes"] == {"c": "z"}
    assert losses == [
        Loss(what="attribute without a name", where="a.png", region=0),
        Loss(what="attribute without a name", where="a.png"),
    ]


@versions
def test_what_only_a_project_holds_is_lost(version: str) -> None:
    file = via_file(
        entry("a.png", width=4, height=3),
        entry("b.png"),
        attributes={"region": {"c": DeclaredAttribute(type="radio", options={"x": ""})}, "file": {}},
        order=("b.png5", "a.png5"),
        settings={"ui": {}, "core": {}},
    )
    assert write(file, version)[1] == [
        Loss(what="declaration of an attribute", where="", detail="region attribute 'c': radio, 1 options"),
        Loss(what="settings of the project", where="", detail="ui, core"),
        Loss(what="order of the pictures", where=""),
        Loss(what="size of the picture in pixels", where="a.png", detail="4 x 3"),
    ]


@versions
def test_the_text_is_utf_8(version: str) -> None:
    assert '"靴.png"'.encode() in WRITERS[version](via_file(entry("靴.png")))[0]


def test_a_file_without_pictures() -> None:
    assert write_annotations_2(via_file())[0] == b"{}"
