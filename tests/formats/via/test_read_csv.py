"""Annotations CSV of VIA 1 and 2: as VIA writes it, and as Excel, scripts and people leave it."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.annotations import Finding
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.csv_rows import decode_cell, lines_of, split_cells, unquote
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import ViaEntry, ViaFile, all_findings
from cnnpipe.geometry.shapes import Polygon, Rect

REAL = Path(__file__).resolve().parents[3].parent / "shared/data/via_files"
HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
RECT = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='",\n\r'), min_size=1)


def cell(value: Any) -> str:
    """Write a cell as VIA does: JSON, its quotes doubled, in quotes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return '"' + text.replace('"', '""') + '"'


def row(
    filename: str = "a.jpg",
    shape: Any = RECT,
    attributes: Any = None,
    *,
    size: str = "100",
    of_file: Any = None,
    counts: str = "1,0",
) -> str:
    return f"{filename},{size},{cell(of_file or {})},{counts},{cell(shape)},{cell(attributes or {})}"


def read(*rows: str, header: str = HEADER, end: str = "\n") -> ViaFile:
    return parse_via(end.join([header, *rows]).encode(), where="via.csv")


def told(file: ViaFile) -> Sequence[tuple[str, str]]:
    return [(finding.code, finding.what) for finding in all_findings(file)]


def only_finding(file: ViaFile) -> Finding:
    [finding] = all_findings(file)
    return finding


def test_a_file_of_via_2_is_read_as_it_stands() -> None:
    of_file = {"caption": 'two, "quoted"\nlines'}
    file = read(
        row("a.jpg", RECT, {"class": "cat", "tags": {"big": True}}, of_file=of_file, counts="2,0"),
        row("a.jpg", {"name": "circle", "cx": 1, "cy": 2, "r": 3.5}, of_file=of_file, counts="2,1"),
        'b c.jpg,-1,"{}",0,0,"{}","{}"',
    )
    first, second = file.entries
    assert (file.kind, file.version, file.num_images, file.num_regions) == ("annotations-csv", "2", 2, 2)
    assert (first.key, first.filename, first.size_bytes) == ("a.jpg100", "a.jpg", 100)
    assert first.file_attributes == of_file
    assert first.regions[0].shape == Rect(1, 2, 3, 4)
    assert first.regions[0].attributes == {"class": "cat", "tags": {"big": True}}
    assert [region.number for region in first.regions] == [0, 1]
    assert (second.key, second.filename, second.size_bytes, second.regions) == (
        "b c.jpg-1",
        "b c.jpg",
        None,
        (),
    )
    assert file.image_order == ("a.jpg100", "b c.jpg-1")
    assert all_findings(file) == []


def test_a_file_of_via_1_is_told_by_its_header_and_its_polygons_are_opened() -> None:
    shape = {"name": "polygon", "all_points_x": [0, 4, 2, 0], "all_points_y": [0, 0, 3, 0]}
    file = read(row(shape=shape), header="#" + HEADER)
    assert file.version == "1"
    assert file.entries[0].regions[0].shape == Polygon((0, 4, 2), (0, 0, 3))
    assert all_findings(file) == []


@pytest.mark.parametrize(
    ("header", "rows", "noticed"),
    [
        pytest.param(HEADER, [row(attributes={"class": "a"})], [], id="as VIA writes it"),
        pytest.param(
            "\r".join([HEADER, row(attributes={"class": "a"})]), [], [], id="line ends of an old Macintosh"
        ),
        pytest.param(
            HEADER.replace(",", ";"),
            [f"a.jpg;100;{cell({})};1;0;{cell(RECT)};{cell({'class': 'a'})}"],
            ["the header is not as VIA writes it"],
            id="semicolons",
        ),
        pytest.param(
            HEADER.replace(",", "\t"),
            [f"a.jpg\t100\t{cell({})}\t1\t0\t{cell(RECT)}\t{cell({'class': 'a'})}"],
            ["the header is not as VIA writes it"],
            id="tabs",
        ),
        pytest.param(
            ",".join(f'"{name}"' for name in HEADER.split(",")),
            [f'"a.jpg","100",{cell({})},"1","0",{cell(RECT)},{cell({"class": "a"})}'],
            ["the header is not as VIA writes it"],
            id="all quoted",
        ),
        pytest.param(
            HEADER + ",,,",
            [row(attributes={"class": "a"}) + ",,,", ",,,,,,,,,"],
            ["the header is not as VIA writes it", "empty cells stand behind the last column"],
            id="trailing commas and a row of them",
        ),
        pytest.param("sep=,\n" + HEADER, [row(attributes={"class": "a"})], [], id="a hint on the separator"),
        pytest.param(
            HEADER, [cell(row(attributes={"class": "a"}))], [], id="each row quoted once more as a whole"
        ),
        pytest.param(
            HEADER, [f"a.jpg,100,,,,{cell(RECT)},{cell({'class': 'a'})}"], [], id="cells left empty"
        ),
        pytest.param(
            HEADER,
            [f"a.jpg,100,{{}},1,0,{cell(json.dumps(RECT, indent=1))},{cell({'class': 'a'})}"],
            [],
            id="JSON over several lines",
        ),
        pytest.param(
            "region_attributes,region_shape_attributes,file_attributes,file_size,filename",
            [f"{cell({'class': 'a'})},{cell(RECT)},{cell({})},100,a.jpg"],
            ["the header is not as VIA writes it"],
            id="columns in another order, and some not there",
        ),
        pytest.param(
            HEADER,
            [f'a.jpg,100,"[]",1,0,{cell(RECT)},{cell({"class": "a"})}'],
            [],
            id="a list for attributes",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("prefix", ["", "\ufeff"], ids=["", "BOM"])
def test_what_scripts_and_excel_make_of_a_file_holds_the_same(
    header: str, rows: Sequence[str], noticed: Sequence[str], end: str, prefix: str
) -> None:
    file = parse_via((prefix + end.join([header, *rows])).encode(), where="via.csv")
    [entry] = file.entries
    [region] = entry.regions
    assert (entry.filename, entry.size_bytes, entry.file_attributes) == ("a.jpg", 100, {})
    assert (region.shape, region.attributes) == (Rect(1, 2, 3, 4), {"class": "a"})
    assert [
        (code, what.startswith(start)) for (code, what), start in zip(told(file), noticed, strict=True)
    ] == [("file-repaired", True)] * len(noticed)


def test_undefined_is_missing_but_stays_in_texts() -> None:
    file = read(
        row(attributes='{"class":undefined}'),
        row(attributes='{"class":"undefined, or: undefined","n":1,"m":undefined}'),
        row(attributes='{"a":{"x":undefined,"y":true},"b":[undefined],"c":"\\"undefined"}'),
    )
    assert [region.attributes for region in file.entries[0].regions] == [
        {},
        {"class": "undefined, or: undefined", "n": 1},
        {"a": {"y": True}, "b": [None], "c": '"undefined'},
    ]
    assert told(file) == [
        (
            "file-repaired",
            "`undefined` stands where nothing was chosen; it is read as missing (3 times, first in line 2)",
        )
    ]


@pytest.mark.parametrize(
    "filename",
    ["a,b.jpg", "a, b,c.jpg", "100,{}.jpg", "5,6,7.jpg", ",.jpg", "1,2", 'say "a,b".jpg'],
)
def test_a_name_with_commas_is_joined_again(filename: str) -> None:
    file = read(row("z.jpg"), row(filename, attributes={"class": "a"}), row("z.jpg"))
    assert [entry.filename for entry in file.entries] == ["z.jpg", filename]
    assert file.entries[1].regions[0].attributes == {"class": "a"}
    [(code, what)] = told(file)
    assert (code, what.endswith("its parts are joined (in line 3)")) == ("file-repaired", True)


def test_rows_of_a_picture_are_gathered_from_all_over_the_file() -> None:
    shapes = [{**RECT, "x": x} for x in range(5)]
    file = read(
        row("b.jpg", shapes[0], counts="9,7"),
        row("a.jpg", shapes[1], counts="x,y"),
        row("b.jpg", shapes[2], counts=","),
        row("a.jpg", shapes[3], size="7"),
        row("b.jpg", shapes[4], counts="9,7"),
    )
    xs = [(e.key, [r.shape.x for r in e.regions if isinstance(r.shape, Rect)]) for e in file.entries]
    assert xs == [("b.jpg100", [0, 2, 4]), ("a.jpg100", [1]), ("a.jpg7", [3])]
    assert file.num_images == 3
    assert all_findings(file) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        pytest.param("a.jpg,100", "the row ends after 2 of 7 cells", id="cut off"),
        pytest.param(f"{row()},x", "the row has 8 cells, the header 7", id="too many cells"),
        pytest.param(row(""), "the row names no picture", id="no name"),
        pytest.param(row('"  "'), "the row names no picture", id="a blank name"),
    ],
)
def test_a_malformed_row_is_a_finding_with_its_line_and_the_others_are_read(line: str, what: str) -> None:
    file = read(row("a.jpg"), "", line, row("b.jpg"))
    assert [entry.filename for entry in file.entries] == ["a.jpg", "b.jpg"]
    finding = only_finding(file)
    assert (finding.code, finding.where, finding.what) == ("entry-unreadable", "via.csv: line 4", what)


def test_of_very_many_malformed_rows_the_first_are_listed_and_the_others_counted() -> None:
    file = read(*["x"] * 1500, row())
    assert len(file.findings) == 1001
    assert file.findings[-1].what == "500 more rows cannot be read"


@pytest.mark.parametrize(
    ("shape", "attributes", "what"),
    [
        pytest.param({"name": "star"}, {}, "line 3: its shape is called 'star'", id="unknown shape"),
        pytest.param({**RECT, "x": None}, {}, "line 3: x of its rect is not a number", id="null"),
        pytest.param('{"name":"rect","x":undefined}', {}, "line 3: its rect has no", id="undefined"),
        pytest.param('{"name":"rect","x":1', {}, "line 3: a cell is not JSON", id="cut off"),
        pytest.param({**RECT, "x": float("nan")}, {}, "line 3: a coordinate is not finite", id="NaN"),
        pytest.param(RECT, "[1]", "line 3: its attributes are a list, not an object", id="a list"),
        pytest.param("[" * 100_000, {}, "line 3: a cell is nested too deeply", id="depth"),
        pytest.param('{"name":"rect","x":' + "9" * 5000 + "}", {}, "line 3: ", id="thousands of digits"),
    ],
)
def test_a_region_that_cannot_be_read_is_a_finding_and_is_counted(
    shape: Any, attributes: Any, what: str
) -> None:
    file = read(row(), row(shape=shape, attributes=attributes), row())
    [entry] = file.entries
    assert [region.number for region in entry.regions] == [0, 2]
    assert file.num_regions == 3
    found = [finding for finding in all_findings(file) if finding.code == "region-unreadable"]
    assert [(each.where, each.region) for each in found] == [("a.jpg", 1)]
    assert found[0].what.startswith(what)


def test_a_cell_that_excel_cut_is_told_as_such() -> None:
    shape = {"name": "polygon", "all_points_x": list(range(9000)), "all_points_y": list(range(9000))}
    text = json.dumps(shape)
    file = read(row(shape=text[:32_767]), text[32_767:], row("b.jpg"))
    assert [finding.code for finding in all_findings(file)] == ["entry-unreadable", "region-unreadable"]
    assert all_findings(file)[1].what.startswith("line 2: a cell is not JSON")
    assert "it has 32,767 characters, and Excel cuts a cell after 32,767" in all_findings(file)[1].what
    assert all_findings(file)[0].where == "via.csv: line 3"
    assert [entry.filename for entry in file.entries] == ["a.jpg", "b.jpg"]


def test_file_attributes_that_contradict_are_a_finding_and_the_first_stay() -> None:
    file = read(
        row(of_file={"weather": "sun"}),
        row(of_file={"weather": "rain", "place": "sea"}),
        row(of_file={"weather": "rain", "place": "sea"}),
    )
    assert file.entries[0].file_attributes == {"weather": "sun", "place": "sea"}
    finding = only_finding(file)
    assert (finding.code, finding.where) == ("attribute-conflict", "a.jpg")
    assert finding.what.startswith("line 3 gives its file attribute 'weather' another value")


def test_file_attributes_that_cannot_be_read_are_told_once() -> None:
    file = read(row(of_file="{"), row(of_file="{"), row(of_file={"a": "1"}))
    assert file.entries[0].file_attributes == {"a": "1"}
    finding = only_finding(file)
    assert (finding.code, finding.where) == ("entry-unreadable", "a.jpg")
    assert finding.what.startswith("line 2: a cell is not JSON")


def test_a_region_may_have_no_shape_and_a_row_no_region() -> None:
    file = read(
        row(shape={}, attributes={"class": "a"}), row(shape={}), row("b.jpg", shape="", attributes="")
    )
    assert [(e.filename, [r.shape for r in e.regions]) for e in file.entries] == [
        ("a.jpg", [None]),
        ("b.jpg", []),
    ]
    assert file.num_regions == 1


def test_fields_that_are_no_ones_are_told() -> None:
    file = read(row(shape={**RECT, "z": 1}), row(shape={**RECT, "z": 1}))
    assert told(file) == [("field-unknown", "the field 'z' is not one of VIA's; it is passed over (2 times)")]


def test_half_a_surrogate_pair_is_replaced_and_told() -> None:
    file = read(row(attributes='{"class":"\\ud83d x"}'))
    assert file.entries[0].regions[0].attributes == {"class": "\ufffd x"}
    assert told(file)[0][1].startswith("half of a surrogate pair stands in a text")


@pytest.mark.parametrize(("size", "expected"), [("100.0", 100), ('"100"', 100), ("", None), ("-1", None)])
def test_sizes(size: str, expected: int | None) -> None:
    assert read(row(size=size)).entries[0].size_bytes == expected


def test_nul_bytes_are_no_crash() -> None:
    file = read(row("a\0.jpg"), row("b.jpg", attributes='{"a":"\0"}'), "\0", "\0,\0,\0,\0,\0,\0,\0")
    assert [entry.filename for entry in file.entries][:2] == ["a\0.jpg", "b.jpg"]


def test_a_header_without_rows_names_no_picture() -> None:
    file = read()
    assert (file.num_images, file.entries) == (0, ())
    assert told(file) == [("file-empty", "names no picture")]


def test_a_header_without_the_needed_columns_is_refused() -> None:
    with pytest.raises(
        AnnotationError, match=r"via.csv: line 1: the first row does not name .*\n  fix: put this"
    ):
        read(header="filename,file_size,regions")


def test_a_polygon_of_a_million_points_in_one_cell() -> None:
    limit = csv.field_size_limit()
    xs, ys = ",".join(["12"] * 10**6), ",".join(["7"] * 10**6)
    shape = f'{{"name":"polygon","all_points_x":[{xs}],"all_points_y":[{ys}]}}'
    file = read(row(shape=shape))
    polygon = file.entries[0].regions[0].shape
    assert isinstance(polygon, Polygon)
    assert len(polygon.all_points_x) in (10**6, 10**6 - 1)  # first and last point are equal
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('"a,' * 300_000, id="open quotes"),
        pytest.param('"' * 1_000_000, id="quotes"),
        pytest.param('"a"",""' * 200_000, id="pairs of quotes"),
        pytest.param("," * 1_000_000 + "x", id="separators"),
        pytest.param(f"a{',1' * 300_000},x", id="numbers"),
        pytest.param(row(shape='{"a":"' + '\\"' * 300_000 + "undefined"), id="backslashes"),
    ],
)
def test_hostile_rows_take_linear_time(text: str) -> None:
    assert read(text, row("b.jpg")).entries  # in quadratic time: hours, and so over the limit of a test


@given(st.lists(st.tuples(names, json_values, json_values), max_size=5))
def test_what_via_would_write_is_read_without_a_finding(given_rows: list[tuple[str, Any, Any]]) -> None:
    given_rows = [each for each in given_rows if each[0].strip() and not each[0].startswith("# ")]
    file = read(*(row(name, RECT, {"v": value, "w": other}) for name, value, other in given_rows))
    expected: dict[str, list[Any]] = {}
    for name, value, other in given_rows:
        expected.setdefault(name, []).append({"v": value, "w": other})
    assert {e.filename: [r.attributes for r in e.regions] for e in file.entries} == expected
    assert [code for code, _ in told(file)] == ([] if given_rows else ["file-empty"])


@given(texts, st.lists(texts, max_size=4))
def test_cells_survive_quoting(first: str, rest: list[str]) -> None:
    cells = ["", *(cell(text) for text in (first, *rest))]
    assert [unquote(each) for each in split_cells(",".join(cells), ",")] == ["", first, *rest]


@given(json_values)
def test_a_cell_is_decoded_to_what_it_was_made_of(value: Any) -> None:
    decoded = decode_cell(cell({"value": value}))
    assert (decoded.value, decoded.repairs) == ({"value": value}, ())


@given(st.text(st.sampled_from('a1,;"{}[]:\\u\n\r #\0'), max_size=60))
def test_no_text_is_a_crash(text: str) -> None:
    read(text, row("b.jpg"))


@given(st.lists(st.text(st.sampled_from('ab," #'), min_size=1, max_size=8), max_size=8))
def test_lines_keep_their_number(lines: list[str]) -> None:
    expected = [(at, line) for at, line in enumerate(lines, start=1) if line.strip(' ,"')]
    assert [(each.line, each.text) for each in lines_of("\n".join(lines).encode())] == expected


def manifest() -> list[Mapping[str, str]]:
    if not REAL.is_dir():
        return []
    with (REAL / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        return [each for each in csv.DictReader(file, delimiter="\t") if each["kind"] == "annotations-csv"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real VIA files are not beside the repository")
@pytest.mark.parametrize("expected", manifest(), ids=lambda each: each["name"][:30])
def test_real_files_have_the_counts_of_their_manifest(expected: Mapping[str, str]) -> None:
    file = parse_via((REAL / expected["name"]).read_bytes(), where="via.csv")
    shapes = Counter(type(region.shape).__name__.lower() for each in file.entries for region in each.regions)
    assert (file.num_images, file.num_regions) == (int(expected["images"]), int(expected["regions"]))
    assert shapes == json.loads(expected["shapes"])
    assert file.version == expected["via_version"][0]
    assert all_findings(file) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the real VIA files are not beside the repository")
def test_the_csv_and_the_json_of_one_real_project_hold_the_same() -> None:
    name = "tzelalouzeir__rice_leaf_diseases_ds__val__via_region_data"
    one, other = (parse_via((REAL / f"{name}.{kind}").read_bytes(), where="via") for kind in ("csv", "json"))
    assert sorted(one.entries, key=_key) == sorted(other.entries, key=_key)


def _key(entry: ViaEntry) -> str:
    return entry.key
