"""CSV of VIA 3, as VIA and Excel write it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from via3_files import (
    ATTRIBUTES,
    COLUMNS,
    VIA,
    cell,
    codes,
    head,
    line,
    project,
    read,
    read_lines,
    row,
    the_finding,
)

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.records import all_findings
from cnnpipe.geometry.shapes import Point, Rect


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("prefix", ["", "\ufeff"], ids=["", "BOM"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text, id="as VIA writes it"),
        pytest.param(lambda text: text + ",,,,", id="trailing commas"),
        pytest.param(lambda text: '"' + text.replace('"', '""') + '"', id="each line quoted once more"),
        pytest.param(
            lambda text: (
                '"' + text.replace('"', '""') + '",,,'
                if text.startswith("#") and "," in text
                else text + ",,,"
            ),
            id="comments quoted",
        ),
    ],
)
def test_the_csv_is_read_as_via_and_excel_write_it(change: Any, end: str, prefix: str) -> None:
    lines = [
        *head(),
        line("a, b.jpg", av={"1": "0", "2": "0,2"}),
        line("a, b.jpg", xy=(), av={"3": "a caption"}),
        line("c.png", xy=(1, 5, 6)),
        line("d.mp4", z=[1.5]),
    ]
    read_file = read_lines(*map(change, lines), end=end, prefix=prefix)
    first, second = read_file.entries
    assert (read_file.kind, read_file.version) == ("via3-csv", "3")
    assert (read_file.num_images, read_file.num_regions) == (2, 2)
    assert (first.key, first.filename) == ("a, b.jpg", "a, b.jpg")
    assert first.regions[0].shape == Rect(1, 2, 3, 4)
    assert first.regions[0].attributes == {"class": "0", "marks": {"0": True, "2": True}}
    assert first.file_attributes == {"caption": "a caption"}
    assert second.regions[0].shape == Point(5, 6)
    assert read_file.attributes == read(project()).attributes
    assert the_finding(read_file).what == (
        "only pictures are read; left out are videos: 1 (d.mp4); regions in frames: 1"
    )


def test_the_csv_with_semicolons_and_a_quote_in_a_name() -> None:
    attributes = {"1": {**ATTRIBUTES["1"], "aname": 'size 5"'}}
    cells = line("a.jpg", av={"1": "0"}).replace('",', '";').replace(",0,", ";0;").replace('0,"[', '0;"[')
    read_file = read_lines(*head(attributes, COLUMNS.replace(",", ";")), cells)
    assert read_file.entries[0].regions[0].attributes == {'size 5"': "0"}
    assert all_findings(read_file) == []


def test_a_damaged_line_of_attributes_is_told_and_they_are_called_by_their_numbers() -> None:
    lines = head()
    lines[4] = lines[4][:60]
    read_file = read_lines(*lines, line("a.jpg", av={"1": "0"}))
    assert read_file.entries[0].regions[0].attributes == {"1": "0"}
    assert the_finding(read_file).what.startswith("line 5: `# ATTRIBUTE` is damaged")


@pytest.mark.parametrize("times", [",", "undefined,undefined"])
def test_the_csv_of_time_segments_has_no_shapes(times: str) -> None:
    columns = "metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata"
    read_file = read_lines(
        VIA,
        f"# CSV_HEADER = {columns}",
        f'"1_a",{cell(["a.jpg"])},{times},{cell({"class": "0"})}',
        f'"1_b",{cell(["b.mp4"])},1.5,2.25,{cell({"class": "0"})}',
    )
    [entry] = read_file.entries
    assert (entry.filename, [(each.shape, each.attributes) for each in entry.regions]) == (
        "a.jpg",
        [(None, {"class": "0"})],
    )
    assert codes(read_file) == ["file-unsafe", "media-left-out"]


def test_undefined_malformed_rows_and_several_files_are_told() -> None:
    read_file = read_lines(
        *head(),
        '"1_a","[""a.jpg""]",0,"[]","[1,2,3]","{""1"":undefined}"',
        '"1_b","[""a.jpg""]"',
        '"1_c","[]",0,"[]","[1,2,3]","{}"',
        '"1_d","[""a.jpg""]",0,"[]","[1,2","{}"',
        '"1_e","[""a.jpg"",""b.jpg""]",0,"[]","[1,4,5]","{}"',
    )
    assert [(each.number, each.attributes) for each in read_file.entries[0].regions] == [(0, {}), (2, {})]
    assert [(each.code, each.what) for each in all_findings(read_file)] == [
        ("entry-unreadable", "the row ends after 2 of 6 cells"),
        ("entry-unreadable", "the row names no file"),
        ("file-repaired", "`undefined` is read as missing (1 times, first in line 7)"),
        ("file-repaired", "1 rows are of several files, the first in line 11; they count for the first file"),
        ("region-unreadable", "line 10: its coordinates are not a list of finite numbers"),
    ]


def test_a_file_may_be_named_outside_of_a_list_and_a_column_twice() -> None:
    read_file = read_lines(
        *head(columns=COLUMNS + ",,flags"),
        '"1_a","""a.jpg""",0,"[]","[1,2,3]","{}",,0',
        '"1_a",0,0,"[]","[1,2,3]","{}",,0',
        line("b.jpg"),
    )
    assert [entry.filename for entry in read_file.entries] == ["a.jpg"]
    assert [each.what for each in all_findings(read_file)] == [
        "the row names no file",
        "the row ends after 6 of 8 cells",
    ]


def test_a_csv_without_its_columns_is_refused() -> None:
    with pytest.raises(AnnotationError, match=r"via3.csv: no line `# CSV_HEADER = metadata_id,...` names"):
        read_lines(VIA, line("a.jpg"))


def test_the_project_and_the_csv_of_it_hold_the_same() -> None:
    rows = [row(xy=(7, 0, 0, 4, 0, 2, 3), av={"1": "0"}), row(av={"3": "x"}), row(xy=(3, 1, 2, 3))]
    lines = [f'"1_x",{cell(["a.jpg"])},0,{cell(e["z"])},{cell(e["xy"])},{cell(e["av"])}' for e in rows]
    [one], [other] = read(project(rows=rows)).entries, read_lines(*head(), *lines).entries
    assert (one.regions, one.file_attributes) == (other.regions, other.file_attributes)


@given(st.text(st.sampled_from('a1,;"{}[]:\\u\n\r #\0'), max_size=60))
def test_no_text_after_the_columns_is_a_crash(text: str) -> None:
    read_lines(*head(), text, line("b.jpg"))
