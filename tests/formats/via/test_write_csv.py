"""Written CSV: its bytes as VIA 2 exports them, what reads back, and what is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from via_records import VIA_3_SHAPES, entries, entry, everything, files, held_by, region, via_file

from cnnpipe.formats.via.annotations_csv import read_annotations_csv
from cnnpipe.formats.via.records import Loss, ViaFile
from cnnpipe.formats.via.write_csv import HEADER, write_csv
from cnnpipe.geometry.shapes import Rect

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=',"\n\r'), max_size=8)


def lines(file: ViaFile) -> list[str]:
    return write_csv(file)[0].decode().split("\n")


@given(files(entries(names=names)))
def test_what_is_written_is_read_again(file: ViaFile) -> None:
    content, losses = write_csv(file)
    again = read_annotations_csv(content, where="a.csv")
    held = [
        each if region_is_held else None
        for one in file.entries
        for each in one.regions
        if (region_is_held := each.shape is not None or bool(each.attributes))
    ]
    assert [(each.shape, each.attributes) for one in again.entries for each in one.regions] == [
        (each.shape, each.attributes) for each in held if each is not None
    ]
    assert [(held_by(each)[:3], each.file_attributes) for each in again.entries] == [
        (held_by(each)[:3], each.file_attributes) for each in file.entries
    ]
    assert [finding.code for finding in again.findings] == ([] if file.entries else ["file-empty"])
    assert {loss.what for loss in losses} <= {"region with neither shape nor attributes"}


def test_the_bytes_are_those_of_via() -> None:
    file = via_file(
        entry(
            "a b.png", Rect(1, 2, 3.5, 4), region(None, 1, **{'k"': 'x, "y"\n'}), file_attributes={"t": ""}
        ),
        entry("b.png", size_bytes=None),
    )
    assert write_csv(file)[0] == (
        b"filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        b'a b.png,5,"{""t"":""""}",2,0,'
        b'"{""name"":""rect"",""x"":1,""y"":2,""width"":3.5,""height"":4}","{""class"":""cat""}"\n'
        b'a b.png,5,"{""t"":""""}",2,1,"{}","{""k\\"""":""x, \\""y\\""\\n""}"\n'
        b'b.png,-1,"{}",0,0,"{}","{}"'
    )


def test_a_file_without_pictures_is_its_header() -> None:
    assert lines(via_file()) == [HEADER]


@pytest.mark.parametrize("name", ["a,b.png", 'a"b.png', "a\nb.png", "a\rb.png"])
def test_a_picture_whose_name_no_row_can_hold_is_left_out(name: str) -> None:
    file = via_file(entry(name, Rect(1, 2, 3, 4)), entry("c.png"))
    assert lines(file) == [HEADER, 'c.png,5,"{}",0,0,"{}","{}"']
    what = "picture with a comma, a quotation mark or the end of a line in its name"
    assert write_csv(file)[1] == [Loss(what=what, where=name, detail="1 regions")]


def test_a_region_that_says_nothing_is_left_out() -> None:
    file = via_file(entry("a.png", region(None, 0), Rect(1, 2, 3, 4)))
    assert lines(file)[1:] == [
        'a.png,5,"{}",1,0,"{""name"":""rect"",""x"":1,""y"":2,""width"":3,""height"":4}","{""class"":""cat""}"'
    ]
    what = "region with neither shape nor attributes"
    assert write_csv(file)[1] == [Loss(what=what, where="a.png", region=0)]


def test_keys_other_than_name_and_size_are_lost() -> None:
    _, losses = write_csv(via_file(entry("a.png", key="1"), entry("a.png", key="2"), order=("1", "2")))
    assert losses == [
        Loss(what="key that is not file name and size", where="a.png", detail="'1' becomes 'a.png5'"),
        Loss(
            what="entry of the same file name and size as another, and so one with it",
            where="a.png",
            detail="'2'",
        ),
    ]


def test_shapes_of_via_3_are_drawn_otherwise() -> None:
    _, losses = write_csv(via_file(entry("a.png", *VIA_3_SHAPES)))
    assert [loss.what for loss in losses] == [
        "line, drawn as a polyline",
        "extreme rectangle, drawn as a rect",
        "extreme circle, drawn as a circle",
    ]


def test_what_only_a_project_holds_is_lost() -> None:
    whats = {loss.what for loss in write_csv(everything())[1]}
    assert whats == {
        "declaration of an attribute",
        "settings of the project",
        "order of the pictures",
    }
