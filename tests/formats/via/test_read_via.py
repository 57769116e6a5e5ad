"""VIA files of every kind, clean and dirty: read, or refused with a place and a way out."""

import csv
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import entry, make_project, polygon, rect

from cnnpipe.errors import DataError
from cnnpipe.formats.via.read import parse_via, read_via
from cnnpipe.formats.via.records import ViaFile
from cnnpipe.geometry.shapes import Circle, Ellipse, Point, Polygon, Polyline, Rect, Shape

DATA = Path(__file__).resolve().parents[3].parent / "shared/data"
REAL = DATA / "via_files"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def parse(value: Any) -> ViaFile:
    return parse_via(json.dumps(value).encode(), where="via.json")


def parse_shape(**shape: Any) -> ViaFile:
    region = {"shape_attributes": shape, "region_attributes": {"class": "a"}}
    return parse({"a": entry("a.jpg", region)})


def manifest() -> list[Mapping[str, str]]:
    if not REAL.is_dir():
        return []
    with (REAL / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real VIA files are not beside the repository")
@pytest.mark.parametrize("row", manifest(), ids=lambda row: row["name"][:40])
def test_real_files_are_read_with_the_counts_of_their_manifest(row: Mapping[str, str]) -> None:
    path = REAL / row["name"]
    file = read_via(path, where=path.name)
    shapes = Counter(type(region.shape).__name__.lower() for each in file.entries for region in each.regions)
    assert file.kind == row["kind"]
    assert file.version[0] == row["via_version"][0]
    assert (file.num_images, file.num_regions) == (int(row["images"]), int(row["regions"]))
    assert len(file.entries) == int(row["images"])
    assert shapes == json.loads(row["shapes"])


@pytest.mark.parametrize("kind", ["via1", "via2", "project"])
def test_the_three_kinds_of_one_project_hold_the_same(tmp_path: Path, kind: Any) -> None:
    project = make_project(tmp_path / kind, kind=kind)
    reference = make_project(tmp_path / "reference", kind="project")
    file = read_via(project.folder / project.annotations, where="x")
    other = read_via(reference.folder / reference.annotations, where="x")
    assert file.entries == other.entries
    assert file.image_order == other.image_order
    assert file.findings == ()
    assert [each.filename for each in file.entries] == list(project.image_ids)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param({"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}, Rect(1, 2, 3, 4), id="rect"),
        pytest.param(
            {"name": "rect", "x": "1", "y": "2.5", "width": "3", "height": "1e1"},
            Rect(1, 2.5, 3, 10),
            id="texts",
        ),
        pytest.param(
            {"name": "rect", "x": -5, "y": 0, "width": 0, "height": 4},
            Rect(-5, 0, 0, 4),
            id="no width: judged later",
        ),
        pytest.param({"name": "circle", "cx": 1, "cy": 2, "r": 3.5}, Circle(1, 2, 3.5), id="circle"),
        pytest.param(
            {"name": "ellipse", "cx": 1, "cy": 2, "rx": 3, "ry": 4}, Ellipse(1, 2, 3, 4, 0), id="ellipse, old"
        ),
        pytest.param(
            {"name": "ellipse", "cx": 1, "cy": 2, "rx": 3, "ry": 4, "theta": 0.5},
            Ellipse(1, 2, 3, 4, 0.5),
            id="ellipse",
        ),
        pytest.param({"name": "point", "cx": 1, "cy": 2}, Point(1, 2), id="point"),
        pytest.param(
            {"name": "polygon", "all_points_x": [0, 4, 2], "all_points_y": [0, 0, 3]},
            Polygon((0, 4, 2), (0, 0, 3)),
            id="polygon",
        ),
        pytest.param(
            {"name": "polygon", "all_points_x": [0, 4, 2, 0], "all_points_y": [0, 0, 3, 0]},
            Polygon((0, 4, 2), (0, 0, 3)),
            id="closed polygon",
        ),
        pytest.param(
            {"name": "polyline", "all_points_x": [0, 4, 0], "all_points_y": [0, 1, 0]},
            Polyline((0, 4, 0), (0, 1, 0)),
            id="closed polyline: as it is",
        ),
        pytest.param(
            {"name": "polygon", "all_points_x": [], "all_points_y": []},
            Polygon((), ()),
            id="no points: judged later",
        ),
        pytest.param({}, None, id="no shape"),
    ],
)
def test_shapes(shape: Mapping[str, Any], expected: Shape | None) -> None:
    file = parse_shape(**shape)
    [region] = file.entries[0].regions
    assert region.shape == expected
    assert region.attributes == {"class": "a"}
    assert file.entries[0].findings == ()


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        pytest.param({"name": "star", "x": 1}, "is called 'star'", id="unknown shape"),
        pytest.param({"name": 5}, "is called 5", id="name of another kind"),
        pytest.param({"x": 1}, "is called None", id="no name"),
        pytest.param(
            {"name": "rect", "x": 1, "y": 2, "width": 3}, "its rect has no height", id="missing field"
        ),
        pytest.param(
            {"name": "rect", "x": "a", "y": 2, "width": 3, "height": 4},
            "x of its rect is not a number",
            id="text",
        ),
        pytest.param(
            {"name": "rect", "x": None, "y": 2, "width": 3, "height": 4},
            "x of its rect is not a number",
            id="null",
        ),
        pytest.param(
            {"name": "rect", "x": "nan", "y": 2, "width": 3, "height": 4}, "not finite", id="nan as a text"
        ),
        pytest.param(
            {"name": "rect", "x": float("nan"), "y": 2, "width": 3, "height": 4}, "not finite", id="NaN"
        ),
        pytest.param({"name": "circle", "cx": 1, "cy": 2, "r": float("inf")}, "not finite", id="Infinity"),
        pytest.param(
            {"name": "circle", "cx": 10**400, "cy": 2, "r": 1}, "cx of its circle is not a number", id="huge"
        ),
        pytest.param(
            {"name": "rect", "x": 1, "y": 2, "width": -3, "height": 4},
            "size is negative: -3",
            id="negative width",
        ),
        pytest.param(
            {"name": "ellipse", "cx": 1, "cy": 2, "rx": 1, "ry": -1},
            "size is negative: -1",
            id="negative radius",
        ),
        pytest.param(
            {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, "2 x and 1 y", id="unequal"
        ),
        pytest.param(
            {"name": "polygon", "all_points_x": 1, "all_points_y": [1]},
            "all_points_x of its polygon",
            id="no list",
        ),
    ],
)
def test_an_unreadable_shape_is_a_finding(shape: Mapping[str, Any], what: str) -> None:
    [each] = parse_shape(**shape).entries
    assert each.regions == ()
    [finding] = each.findings
    assert (finding.code, finding.where, finding.region) == ("region-unreadable", "a.jpg", 0)
    assert what in finding.what


def test_regions_keep_their_number_when_others_are_unreadable() -> None:
    [each] = parse({"a": entry("a.jpg", None, rect(0, 0, 1, 1), 5, rect(0, 0, 2, 2))}).entries  # type: ignore[arg-type]
    assert [region.number for region in each.regions] == [1, 3]
    assert [finding.region for finding in each.findings] == [0, 2]


def test_regions_of_via_1_come_in_the_order_of_their_numbers() -> None:
    regions = {key: rect(int(key), 0, 1, 1) for key in ("10", "2", "0")}
    [each] = parse({"a": {"filename": "a.jpg", "regions": regions}}).entries
    xs = [region.shape.x for region in each.regions if isinstance(region.shape, Rect)]
    assert xs == [0, 2, 10]
    assert parse({"a": {"filename": "a.jpg", "regions": regions}}).version == "1"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"regions": None}, id="regions null"),
        pytest.param({"regions": []}, id="none"),
        pytest.param({"regions": {}}, id="none, VIA 1"),
        pytest.param({"file_attributes": []}, id="attributes as PHP writes them"),
        pytest.param({"file_attributes": None}, id="attributes null"),
        pytest.param({"size": "12"}, id="size as a text"),
        pytest.param({"size": None}, id="no size"),
        pytest.param({"size": [1]}, id="size of another kind"),
        pytest.param({"size": float("nan")}, id="size NaN"),
    ],
)
def test_what_is_harmless_is_read_without_a_word(change: dict[str, Any]) -> None:
    file = parse({"a": entry("a.jpg") | change})
    assert file.findings == ()
    assert file.entries[0].findings == ()
    assert file.entries[0].size_bytes == (12 if change == {"size": "12"} else None)


def test_missing_keys_are_read_as_nothing() -> None:
    [each] = parse({"a": {"filename": "a.jpg"}}).entries
    assert (each.regions, each.file_attributes, each.size_bytes, each.findings) == ((), {}, None, ())


@pytest.mark.parametrize("broken", [None, 5, [], {}, {"filename": ""}, {"filename": 7}], ids=repr)
def test_an_entry_that_names_no_picture_is_a_finding(broken: Any) -> None:
    file = parse({"a": entry("a.jpg"), "b": broken})
    assert [each.filename for each in file.entries] == ["a.jpg"]
    [finding] = file.findings
    assert (finding.code, finding.where) == ("entry-unreadable", "via.json: b")


def test_a_project_tells_its_attributes_and_its_order() -> None:
    options = {"type": "radio", "options": {"0": "cat", "1": None}, "default_options": {}}
    project = {
        "_via_settings": {},
        "_via_img_metadata": {key: entry(f"{key}.jpg") for key in "abc"},
        "_via_attributes": {"region": {"class": options, "broken": 5}, "file": []},
        "_via_image_id_list": ["c", "gone", "a", 7],
    }
    file = parse(project)
    assert file.kind == "project-json"
    assert file.image_order == ("c", "a", "b")
    assert [each.key for each in file.entries] == ["a", "b", "c"]
    assert file.attributes["region"]["class"].type == "radio"
    assert file.attributes["region"]["class"].options == {"0": "cat", "1": ""}
    assert file.attributes["file"] == {}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param("", "via.json: is empty", id="empty"),
        pytest.param(" \n", "via.json: is empty", id="blank"),
        pytest.param("hello", "is not a VIA file", id="text"),
        pytest.param("[1, 2]", "is not a VIA file", id="list"),
        pytest.param('{"a": 1}', "is not a VIA file", id="other JSON"),
        pytest.param('{"_via_img_metadata": 5}', "`_via_img_metadata` is not an object", id="no metadata"),
        pytest.param(
            '{"a": {"filename": "a.jpg",\n "regions": [',
            "via.json: line 2, column 14: the file ends too early",
            id="cut off",
        ),
        pytest.param(
            '{"a": {"filename": "a.jpg"',
            "line 1, column 27: the file ends too early",
            id="cut off in the first line",
        ),
        pytest.param(
            '{"a": {"filename": "a.jp', "line 1, column 20: the file ends too early", id="cut off in a text"
        ),
        pytest.param(
            '{"a": {\n"filename" "a.jpg"}}',
            "via.json: line 2, column 12: not JSON: Expecting ':'",
            id="no JSON",
        ),
        pytest.param("[" * 200_000, "not a VIA file", id="deep"),
        pytest.param('{"a": ' * 100_000, "nested too deeply", id="deep objects"),
    ],
)
def test_what_cannot_be_read_is_refused_with_place_and_fix(content: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_via(content.encode(), where="via.json")
    assert what in str(caught.value)
    assert caught.value.where.startswith("via.json")
    assert "\n  fix: " in str(caught.value)
    assert caught.value.exit_code == 3


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataError, match=r"via\.json: byte 0: not UTF-8 text"):
        parse_via(b"\xff\xd8\xff\xe0JFIF", where="via.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"via\.json: cannot be read: No such file"):
        read_via(tmp_path / "gone.json", where="via.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_fault(encoding: str) -> None:
    content = json.dumps({"a": entry("ä.jpg")}, ensure_ascii=False).encode(encoding)
    assert parse_via(content, where="x").entries[0].filename == "ä.jpg"


def test_of_a_repeated_key_the_last_counts_and_a_finding_says_so() -> None:
    file = parse_via(
        b'{"a": {"filename": "a.jpg"}, "c": {"filename": "c.jpg"}, "a": {"filename": "b.jpg"}}', where="x"
    )
    assert [each.filename for each in file.entries] == ["c.jpg", "b.jpg"]
    assert file.num_images == 2
    [finding] = file.findings
    assert (finding.code, finding.where) == ("entry-repeated", "x: a")


@pytest.mark.parametrize(
    ("escape", "read", "num_halves"),
    [
        pytest.param(r"\ud83d", "\ufffd", 1, id="first half"),
        pytest.param(r"\ude00\uD83D", "\ufffd\ufffd", 2, id="halves the wrong way round"),
        pytest.param(r"\ud83d\ude00", "\U0001f600", 0, id="a pair"),
        pytest.param(r"\\ud83d", r"\ud83d", 0, id="an escaped backslash"),
        pytest.param(r"\ud83d\u0041", "\ufffdA", 1, id="a half before another escape"),
    ],
)
def test_half_of_a_surrogate_pair_is_read_as_a_replacement(escape: str, read: str, num_halves: int) -> None:
    content = '{"a": {"filename": "' + escape + '.jpg"}, "b": {"filename": "b.jpg"}}'
    file = parse_via(content.encode(), where="x")
    assert [each.filename for each in file.entries] == [f"{read}.jpg", "b.jpg"]
    assert [(finding.code, finding.what.split()[0]) for finding in file.findings] == (
        [("file-repaired", str(num_halves))] if num_halves else []
    )


def test_an_entry_that_cannot_be_decoded_leaves_the_others_alone() -> None:
    digits = "1" + "0" * 5000
    content = '{"a": {"filename": "a.jpg", "size": ' + digits + '}, "b": {"filename": "b.jpg"}}'
    file = parse_via(content.encode(), where="x")
    assert [each.filename for each in file.entries] == ["b.jpg"]
    assert file.num_images == 2
    [finding] = file.findings
    assert (finding.code, finding.where) == ("entry-unreadable", "x: a")
    assert "4300 digits" in finding.what


def test_fields_that_are_not_of_via_are_told_once_and_their_number() -> None:
    region = {
        "shape_attributes": {"name": "point", "cx": 1, "cy": 2, "r": 3},
        "region_attributes": {},
        "id": 7,
    }
    file = parse({name: entry(f"{name}.jpg", region) | {"source": "x"} for name in "ab"})
    assert [(finding.code, finding.what) for finding in file.findings] == [
        ("field-unknown", f"the field {name!r} is not one of VIA's; it is passed over (2 times)")
        for name in ("id", "r", "source")
    ]
    assert [each.regions[0].shape for each in file.entries] == [Point(1, 2)] * 2


def test_a_null_is_no_region_and_an_unreadable_one_is() -> None:
    file = parse({"a": entry("a.jpg", None, {"shape_attributes": {"name": "star"}}, rect(1, 2, 3, 4))})
    assert (file.num_images, file.num_regions) == (1, 2)
    assert [each.number for each in file.entries[0].regions] == [2]
    assert [finding.region for finding in file.entries[0].findings] == [0, 1]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"filename": [' + b"[]," * 400_000 + b"[]]}", id="lists"),
        pytest.param(b"{" + b",".join(b'"%d":0' % n for n in range(200_000)) + b"}", id="keys"),
    ],
)
def test_what_would_fill_the_memory_is_refused_unread(content: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(DataError, match="not a VIA file"):
        parse_via(content, where="x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(content)


@given(json_values, st.integers(0, 10))
@settings(max_examples=300)
def test_any_value_in_any_place_is_read_or_refused(value: Any, place: int) -> None:
    region = rect(1, 2, 3, 4, label="x")
    whole: dict[str, Any] = {"a": entry("a.jpg", region, polygon([1, 2, 3], [4, 5, 6]))}
    owner, key = [
        (region["shape_attributes"], "x"),
        (region["shape_attributes"], "name"),
        (region, "shape_attributes"),
        (region, "region_attributes"),
        (whole["a"], "regions"),
        (whole["a"], "file_attributes"),
        (whole["a"], "filename"),
        (whole["a"], "size"),
        (whole, "a"),
        (whole, "_via_img_metadata"),
        (whole["a"]["regions"][1]["shape_attributes"], "all_points_x"),
    ][place]
    owner[key] = value
    try:
        file = parse(whole)
    except DataError:
        return
    for each in file.entries:
        assert all(region.shape is None or isinstance(region.shape, Shape) for region in each.regions)


@given(st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_changed_bytes_are_read_or_refused(random_source: random.Random) -> None:
    content = bytearray(
        json.dumps({"_via_img_metadata": {"a": entry("a.jpg", rect(1, 2, 3, 4, c="é"))}}).encode()
    )
    for _ in range(random_source.randint(1, 4)):
        content[random_source.randrange(len(content))] = random_source.randrange(256)
    try:
        parse_via(bytes(content[: random_source.randint(1, len(content))]), where="x")
    except DataError as error:
        assert error.fix  # noqa: PT017 (most changes are refused, some are read)


def test_attributes_of_equal_text_are_one_object() -> None:
    project = {name: entry(f"{name}.jpg", rect(1, 2, 3, 4, **{"class": "a"})) for name in "xyz"}
    first, *others = (each.regions[0].attributes for each in parse(project).entries)
    assert first == {"class": "a"}
    assert all(each is first for each in others)  # a million regions of four classes fit into the memory


def both_ways(content: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[ViaFile, ViaFile]:
    by_types = parse_via(content, where="x")
    with monkeypatch.context() as patched:
        patched.setattr("cnnpipe.formats.via.annotations_json.read_clean", lambda *_: None)
        return by_types, parse_via(content, where="x")


@pytest.mark.parametrize("kind", ["via1", "via2", "project"])
def test_both_ways_through_a_file_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    project = make_project(tmp_path, kind=kind)
    by_types, by_fields = both_ways((project.folder / project.annotations).read_bytes(), monkeypatch)
    assert by_types == by_fields


@pytest.mark.skipif(not REAL.is_dir(), reason="the real VIA files are not beside the repository")
@pytest.mark.parametrize(
    "row", [row for row in manifest() if row["kind"] != "annotations-csv"], ids=lambda row: row["name"][:40]
)
def test_both_ways_through_a_real_file_say_the_same(
    row: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_types, by_fields = both_ways((REAL / row["name"]).read_bytes(), monkeypatch)
    assert by_types == by_fields
