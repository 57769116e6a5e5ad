"""Attributes alone, lists of pictures, and the kind of a text by its content."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.attributes_json import read_attributes
from cnnpipe.formats.via.declared import parse_declared
from cnnpipe.formats.via.detect import detect_text_kind
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import DeclaredAttribute, ViaFile, all_findings

CSV = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
VIA_3 = "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)"
COLUMNS = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def read(text: str) -> ViaFile:
    return parse_via(text.encode(), where="list.txt")


def test_attributes_alone_are_read_as_a_file_without_pictures() -> None:
    value = {
        "region": {
            "class": {
                "type": "dropdown",
                "description": "what it is",
                "options": {"a": "cat", "b": ""},
                "default_options": {"a": True, "b": False},
            },
            "note": {"type": "text", "description": "", "default_value": "none"},
        },
        "file": {},
    }
    file = read(json.dumps(value))
    assert (file.kind, file.entries, file.num_images, file.num_regions) == ("attributes-json", (), 0, 0)
    assert file.attributes == {
        "region": {
            "class": DeclaredAttribute(
                type="dropdown",
                options={"a": "cat", "b": ""},
                description="what it is",
                default_options={"a": True, "b": False},
            ),
            "note": DeclaredAttribute(type="text", options={}, default_value="none"),
        },
        "file": {},
    }
    assert all_findings(file) == []


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        pytest.param({}, DeclaredAttribute(type="text", options={}), id="nothing said: text"),
        pytest.param(
            {"type": "radio", "options": {"1": 2, "3": None}, "default_options": {"1": "true", "3": 1}},
            DeclaredAttribute(
                type="radio", options={"1": "2", "3": ""}, default_options={"1": True, "3": False}
            ),
            id="values of other types",
        ),
        pytest.param(
            {"type": None, "options": [], "default_options": "x", "default_value": 5, "description": None},
            DeclaredAttribute(type="text", options={}, default_value="5"),
            id="wrong types",
        ),
    ],
)
def test_declarations(definition: Any, expected: DeclaredAttribute) -> None:
    assert parse_declared({"file": {"a": definition, "b": 5}}) == {"region": {}, "file": {"a": expected}}


@given(json_values)
def test_no_declaration_is_a_crash(value: Any) -> None:
    parse_declared(value)
    parse_declared({"region": value, "file": {"a": value, "b": {"options": value, "default_options": value}}})


def test_attributes_that_are_no_object_are_refused() -> None:
    with pytest.raises(AnnotationError, match=r"x: holds no attributes of regions or files\n  fix: "):
        read_attributes(b"[]", where="x")


def test_a_list_of_addresses_and_paths_makes_entries_without_regions() -> None:
    file = read(
        "# pictures of the zoo\r\nhttp://x.org/a%20b.jpg?w=1,2\r\n\r\n"
        '  /data/c d.png \r\n#1.jpg\r\nC:\\p\\"e.gif\r\n'
    )
    names = ["http://x.org/a%20b.jpg?w=1,2", "/data/c d.png", "#1.jpg", 'C:\\p\\"e.gif']
    assert (file.kind, file.num_images, file.num_regions) == ("url-list", 4, 0)
    assert [entry.filename for entry in file.entries] == names
    assert [entry.key for entry in file.entries] == [f"{name}-1" for name in names]
    assert {entry.size_bytes for entry in file.entries} == {None}
    assert all_findings(file) == []


def test_an_address_that_stands_twice_counts_once() -> None:
    file = read("a.jpg\nb.jpg\n\na.jpg\n")
    assert [entry.filename for entry in file.entries] == ["a.jpg", "b.jpg"]
    [finding] = all_findings(file)
    assert (finding.code, finding.where) == ("entry-repeated", "list.txt: a.jpg")
    assert finding.what == "line 4 repeats line 1; it counts once"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param(CSV, "annotations-csv", id="VIA 2"),
        pytest.param("#" + CSV, "annotations-csv", id="VIA 1"),
        pytest.param("\r\n \r\n" + CSV + "\r\na", "annotations-csv", id="after blank lines"),
        pytest.param(CSV.replace(",", ";"), "annotations-csv", id="semicolons"),
        pytest.param(CSV.replace(",", "\t"), "annotations-csv", id="tabs"),
        pytest.param(CSV + ",,,", "annotations-csv", id="trailing commas"),
        pytest.param('"' + CSV.replace(",", '","') + '"', "annotations-csv", id="quoted"),
        pytest.param('"#' + CSV.replace(",", '","') + '"', "annotations-csv", id="VIA 1, quoted"),
        pytest.param("sep=;\n" + CSV.replace(",", ";"), "annotations-csv", id="a hint on the separator"),
        pytest.param("region_shape_attributes,filename", "annotations-csv", id="another order"),
        pytest.param(VIA_3, "via3-csv", id="VIA 3"),
        pytest.param(VIA_3 + ",,,,", "via3-csv", id="VIA 3, trailing commas"),
        pytest.param(f'"{VIA_3}"', "via3-csv", id="VIA 3, quoted"),
        pytest.param(f"# CSV_HEADER = {COLUMNS}", "via3-csv", id="VIA 3, without its first line"),
        pytest.param(
            f"# mine\n# CSV_HEADER = {COLUMNS.replace(',', ';')}", "via3-csv", id="VIA 3, semicolons"
        ),
        pytest.param("http://x.org/a\nhttps://x.org/b", "url-list", id="addresses"),
        pytest.param("# mine\na.jpg\n\nb/c.PNG", "url-list", id="names"),
        pytest.param("a.jpg\n" * 100_000 + "a", "url-list", id="a long list"),
        pytest.param("# only\n# comments", None, id="comments"),
        pytest.param("a.jpg\nhello", None, id="text"),
        pytest.param("a,b,c\n1,2,3", None, id="another CSV"),
        pytest.param("", None, id="nothing"),
        pytest.param("\0" * 100, None, id="NUL"),
    ],
)
def test_the_kind_of_a_text(text: str, kind: str | None) -> None:
    assert detect_text_kind(text) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (" " * 50_000_000, None),
        ("\n" * 50_000_000, None),
        (" \n" * 25_000_000 + CSV, "annotations-csv"),
        ("x" * 50_000_000, None),
        ("\n" * 50_000_000 + "a.jpg", "url-list"),
    ],
    ids=["blanks", "line ends", "a header after blanks", "one line", "a name after line ends"],
)
def test_the_kind_of_a_large_text_is_told(text: str, kind: str | None) -> None:
    assert detect_text_kind(text) == kind  # in quadratic time: not within the limit of a test


@given(st.text(max_size=80))
def test_every_text_has_a_kind_or_none(text: str) -> None:
    detect_text_kind(text)
