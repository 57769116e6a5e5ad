"""The gate: what passes, what is dropped or clipped and why, and when the data is refused."""

import json
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from surveys import a_gate
from synthetic import entry, make_project, noise_picture, polygon, rect, write_via

from cnnpipe.annotations import LabelledObject, LabelledPicture
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.files import read_jsonl
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Polygon, Polyline, Rect, Shape
from cnnpipe.params.ingest import IngestParams
from cnnpipe.stages.ingest import ingest
from cnnpipe.stages.validate import validate

DATA = Path(__file__).resolve().parents[2].parent / "shared/data"


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNPIPE_STATE", str(tmp_path / "state"))


def ingest_into(folder: Path, *entries: Mapping[str, Any]) -> None:
    """Ingest a project of 32 x 32 pictures with these entries; each name gets a picture of its own."""
    raw = folder / "raw"
    raw.mkdir()
    for number, each in enumerate(entries):
        if "gone" not in each["filename"]:
            noise_picture(number).save(raw / each["filename"])
    write_via(raw / "via.json", entries)
    ingest_params = IngestParams(raw_dir=str(raw), annotations=["via.json"], images_dir=".", max_pixels=10**8)
    ingest(folder / "ingested", ingest_params)


def run(folder: Path, **changes: Any) -> Mapping[str, int]:
    return validate(folder / "ingested", folder / "raw", folder / "out", a_gate(**changes))


def objects(folder: Path) -> list[LabelledObject]:
    return read_jsonl(folder / "out/objects.jsonl", LabelledObject)


def report(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return value


def codes(folder: Path) -> dict[str, list[tuple[str, int | None]]]:
    return {
        each["code"]: [(place["where"], place["region"]) for place in each["places"]]
        for each in report(folder)["findings"]
        if each["count"]
    }


KEPT = rect(0, 0, 9, 9, **{"class": "a"})


def test_pictures_that_nobody_checked_are_no_truth(tmp_path: Path) -> None:
    found = entry("machine.png", KEPT, cnnpipe_review="machine")
    ingest_into(tmp_path, entry("a.png", KEPT), entry("b.png", KEPT), entry("c.png", KEPT), found)
    counts = run(tmp_path, limits={"picture-unchecked": 0.25})
    assert (counts["pictures"], counts["objects"], counts["picture-unchecked"]) == (3, 3, 1)
    with pytest.raises(
        DataError, match=r"picture-unchecked: 1 of 4 pictures \(25\.0 %\), the limit is 24\.0 %"
    ):
        run(tmp_path, limits={"picture-unchecked": 0.24})


@pytest.mark.parametrize("attribute", [None, "scene"])
def test_data_that_nobody_checked_is_refused_with_the_reason(tmp_path: Path, attribute: str | None) -> None:
    ingest_into(tmp_path, entry("machine.png", KEPT, cnnpipe_review="machine"))
    with pytest.raises(
        DataError, match=r"no object with a class is left of 0 regions \(1 picture-unchecked\)"
    ):
        run(tmp_path, image_label_attribute=attribute)


@pytest.mark.parametrize("kind", ["via1", "project"])
def test_a_clean_project_passes_whole(tmp_path: Path, kind: Any) -> None:
    project = make_project(tmp_path / "raw", kind=kind)
    ingest_params = IngestParams(
        raw_dir=str(project.folder), annotations=["*.json"], images_dir=".", max_pixels=10**8
    )
    ingest(tmp_path / "ingested", ingest_params)
    counts = run(tmp_path, image_label_attribute="scene")
    found = {(each.image_id, each.region): (each.label, each.box) for each in objects(tmp_path)}
    assert found == {(each.image_id, each.region): (each.label, Box(*each.box)) for each in project.objects}
    pictures = read_jsonl(tmp_path / "out/images.jsonl", LabelledPicture)
    assert [picture.image_id for picture in pictures] == list(project.image_ids)
    assert {picture.label for picture in pictures} == {"day", "night"}
    assert counts == {"pictures": 12, "objects": len(project.objects), "classes (class)": 3}
    assert codes(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("region", "code"),
    [
        pytest.param(rect(0, 0, 9, 9), "label-missing", id="no attribute"),
        pytest.param(rect(0, 0, 9, 9, **{"class": " "}), "label-missing", id="blank"),
        pytest.param(rect(0, 0, 9, 9, **{"class": "undefined"}), "label-missing", id="undefined"),
        pytest.param(rect(0, 0, 9, 9, **{"class": None}), "label-missing", id="null"),
        pytest.param(rect(0, 0, 9, 9, **{"class": {}}), "label-missing", id="nothing ticked"),
        pytest.param(rect(0, 0, 9, 9, **{"class": {"a": True, "b": True}}), "label-several", id="two ticked"),
        pytest.param(rect(40, 0, 9, 9, **{"class": "a"}), "box-outside", id="right of the picture"),
        pytest.param(rect(0, -9, 9, 9, **{"class": "a"}), "box-outside", id="touches the upper edge"),
        pytest.param(rect(3, 3, 0, 9, **{"class": "a"}), "box-degenerate", id="no width"),
        pytest.param(polygon([1, 9], [1, 9], **{"class": "a"}), "box-degenerate", id="two points"),
        pytest.param(polygon([], [], **{"class": "a"}), "box-degenerate", id="no points"),
        pytest.param(rect(3, 3, 2.9, 9, **{"class": "a"}), "box-small", id="too narrow"),
        pytest.param(rect(-7, 3, 9, 9, **{"class": "a"}), "box-small", id="too narrow when clipped"),
        pytest.param(
            polygon([1, 9], [1, 9], name="polyline", **{"class": "a"}), "shape-without-area", id="a line"
        ),
        pytest.param(
            {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {"class": "a"}},
            "shape-without-area",
            id="point",
        ),
        pytest.param({"region_attributes": {"class": "a"}}, "shape-without-area", id="no shape"),
        pytest.param(KEPT, "duplicate-region", id="the same again"),
        pytest.param(None, "region-unreadable", id="null"),
    ],
)
def test_a_region_is_dropped_for_one_reason(tmp_path: Path, region: Any, code: str) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, region), entry("b.png", KEPT), entry("c.png", KEPT))
    counts = run(tmp_path)
    assert codes(tmp_path / "out") == {code: [("a.png", 1)]}
    assert counts[code] == 1
    assert [(each.image_id, each.region) for each in objects(tmp_path)] == [
        ("a.png", 0),
        ("b.png", 0),
        ("c.png", 0),
    ]


@pytest.mark.parametrize(
    ("region", "box", "shape"),
    [
        pytest.param(
            rect(-4, -2, 10, 10, **{"class": "a"}), Box(0, 0, 6, 8), Rect(-4, -2, 10, 10), id="rect"
        ),
        pytest.param(
            polygon([20, 50, 20], [0, 0, 9], **{"class": "a"}),
            Box(20, 0, 32, 9),
            Polygon((20, 50, 20), (0, 0, 9)),
            id="polygon",
        ),
    ],
)
def test_what_reaches_out_is_clipped(tmp_path: Path, region: Any, box: Box, shape: Shape) -> None:
    ingest_into(tmp_path, entry("a.png", region), entry("b.png", KEPT), entry("c.png", KEPT))
    run(tmp_path)
    first = objects(tmp_path)[0]
    assert first.box == box
    assert first.shape == shape
    assert codes(tmp_path / "out") == {"box-clipped": [("a.png", 0)]}


def test_labels_are_stripped_and_numbers_are_texts(tmp_path: Path) -> None:
    values = [" a\n", 3, 3.0, {"tick": True}]
    regions = [rect(0, 0, 9, 9 + number, **{"class": value}) for number, value in enumerate(values)]
    ingest_into(tmp_path, entry("a.png", *regions))
    run(tmp_path)
    assert [each.label for each in objects(tmp_path)] == ["a", "3", "3", "tick"]
    assert objects(tmp_path)[3].attributes == {"class": {"tick": True}}


def test_a_polyline_is_an_outline_only_where_params_say_so(tmp_path: Path) -> None:
    line = polygon([1, 9, 5], [1, 1, 9], name="polyline", **{"class": "a"})
    ingest_into(tmp_path, entry("a.png", KEPT, line))
    run(tmp_path)
    assert objects(tmp_path)[1].box == Box(1, 1, 9, 9)
    assert objects(tmp_path)[1].shape == Polyline((1, 9, 5), (1, 1, 9))
    run(tmp_path, polyline_as_outline=False)
    assert len(objects(tmp_path)) == 1
    assert codes(tmp_path / "out")["shape-without-area"] == [("a.png", 1)]


def test_same_shapes_of_two_classes_or_pictures_are_no_duplicates(tmp_path: Path) -> None:
    other = rect(0, 0, 9, 9, **{"class": "b"})
    ingest_into(tmp_path, *(entry(name, KEPT, other) for name in ("a.png", "b.png", "c.png")))
    run(tmp_path)
    assert len(objects(tmp_path)) == 6


def test_sets_are_noticed(tmp_path: Path) -> None:
    def named(label: str) -> dict[str, Any]:
        return rect(0, 0, 9, 9, **{"class": label})

    names = ("a.png", "b.png", "c.png")
    ingest_into(
        tmp_path, *(entry(name, named("sandwich")) for name in names), entry("d.png", named("sandiwch"))
    )
    run(tmp_path)
    assert codes(tmp_path / "out") == {"label-spelling": [("d.png", None)], "class-rare": [("d.png", None)]}
    assert {each.label for each in objects(tmp_path)} == {"sandwich", "sandiwch"}  # never merged
    whats = {each["code"]: each["places"][0]["what"] for each in report(tmp_path / "out")["findings"]}
    assert whats["label-spelling"] == "'sandiwch' (1 picture) is spelled almost like 'sandwich' (3 pictures)"
    assert whats["class-rare"].startswith("class 'sandiwch' is in 1 picture:")


def test_equal_files_and_empty_pictures_are_noticed(tmp_path: Path) -> None:
    ingest_into(tmp_path, *(entry(name, KEPT) for name in ("a.png", "b.png", "c.png")), entry("d.png"))
    (tmp_path / "raw/c.png").write_bytes((tmp_path / "raw/a.png").read_bytes())
    ingest_params = IngestParams(
        raw_dir=str(tmp_path / "raw"), annotations=["via.json"], images_dir=".", max_pixels=10**8
    )
    ingest(tmp_path / "ingested", ingest_params)
    run(tmp_path)
    assert codes(tmp_path / "out") == {
        "picture-duplicate": [("c.png", None)],
        "picture-empty": [("d.png", None)],
    }
    assert len(read_jsonl(tmp_path / "out/images.jsonl", LabelledPicture)) == 4


def test_picture_labels_come_from_their_attribute(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", kind=" x "), entry("b.png", kind=3), entry("c.png"))
    run(tmp_path, image_label_attribute="kind")
    pictures = read_jsonl(tmp_path / "out/images.jsonl", LabelledPicture)
    assert [picture.label for picture in pictures] == ["x", "3", None]
    assert codes(tmp_path / "out")["image-label-missing"] == [("c.png", None)]
    run_without = codes(tmp_path / "out")
    assert "class-rare" in run_without


def test_the_guess_is_told(tmp_path: Path) -> None:
    ingest_into(
        tmp_path, entry("a.png", rect(0, 0, 9, 9, thing="x", name="demo"), rect(1, 1, 9, 9, thing="y"))
    )
    assert run(tmp_path, label_attribute="auto")["classes (thing, guessed)"] == 2
    decisions = report(tmp_path / "out")["decisions"]
    assert (decisions["label_attribute"], decisions["label_attribute_was_guessed"]) == ("thing", True)
    assert "which was guessed" in (tmp_path / "out/report.html").read_text()


def test_an_unknown_attribute_is_refused_with_those_there_are(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, kind="x"))
    with pytest.raises(DataError) as caught:
        run(tmp_path, label_attribute="clas")
    assert caught.value.exit_code == 3
    assert "no region has the attribute 'clas'" in str(caught.value)
    assert "did you mean 'class'?" in caught.value.fix
    assert "class (1 values, 1 distinct)" in caught.value.fix
    with pytest.raises(
        DataError, match=r"no picture has the file attribute 'knd'\n.*did you mean 'kind'.*kind \(1"
    ):
        run(tmp_path, image_label_attribute="knd")
    assert not (tmp_path / "out").exists()


def test_nothing_to_guess_is_refused(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", rect(0, 0, 9, 9)))
    with pytest.raises(
        DataError, match=r"no region attribute has a value\n.*the attributes are: none at all"
    ):
        run(tmp_path, label_attribute="auto")


@pytest.mark.parametrize("regions", [(), (rect(0, 0, 9, 9, **{"class": ""}),)], ids=["no region", "no label"])
def test_no_object_at_all_is_refused(tmp_path: Path, regions: tuple[Any, ...]) -> None:
    ingest_into(tmp_path, entry("a.png", *regions))
    with pytest.raises(DataError, match=r"no object with a class is left of \d regions") as caught:
        run(tmp_path)
    assert "state/validate/report.html" in caught.value.fix
    assert (tmp_path / "state/validate/report.html").is_file()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("limit", "passes"), [(0.5, True), (0.25, True), (0.24, False), (0.0, False)], ids=str
)
def test_limits_are_shares_of_regions(tmp_path: Path, limit: float, passes: bool) -> None:
    away = rect(90, 0, 9, 9, **{"class": "a"})
    ingest_into(tmp_path, entry("a.png", KEPT), entry("b.png", KEPT), entry("c.png", KEPT, away))
    if passes:
        run(tmp_path, limits={"box-outside": limit})
        assert not (tmp_path / "state/validate").exists()
        return
    expected = (
        rf"box-outside: 1 of 4 regions \(25\.0 %\), the limit is {100 * limit:.1f} %; first: c\.png region 1"
    )
    with pytest.raises(DataError, match=expected):
        run(tmp_path, limits={"box-outside": limit})
    [summary] = report(tmp_path / "state/validate")["findings"]
    assert (summary["count"], summary["share"], summary["limit"]) == (1, 0.25, limit)
    assert "exceeded" in (tmp_path / "state/validate/report.html").read_text()


def test_limits_are_shares_of_the_pictures_that_were_named(tmp_path: Path) -> None:
    ingest_into(tmp_path, *(entry(name, KEPT) for name in ("a.png", "b.png", "c.png", "gone.png")))
    run(tmp_path, limits={"picture-missing": 0.25})
    with pytest.raises(
        DataError, match=r"picture-missing: 1 of 4 pictures \(25\.0 %\).*via\.json: gone\.png"
    ):
        run(tmp_path, limits={"picture-missing": 0.2})
    assert codes(tmp_path / "out") == {"picture-missing": [("via.json: gone.png", None)]}  # of the run before


def test_unreadable_regions_count_among_all(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, None, None), entry("b.png", KEPT))
    run(tmp_path, limits={"region-unreadable": 0.5})
    with pytest.raises(DataError, match=r"region-unreadable: 2 of 4 regions \(50\.0 %\)"):
        run(tmp_path, limits={"region-unreadable": 0.4})


def test_a_picture_counts_once_whatever_is_said_of_it(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, size=5), entry("b.png", KEPT), entry("a.png", size=6))
    run(tmp_path, limits={"picture-size": 0.5})
    [summary] = [each for each in report(tmp_path / "out")["findings"] if each["code"] == "picture-size"]
    assert (summary["count"], len(summary["places"])) == (1, 2)


def test_all_limits_that_are_passed_are_in_one_message(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, rect(90, 0, 9, 9, **{"class": "a"}), rect(0, 0, 5, 5)))
    with pytest.raises(DataError, match=r"label-missing: .*; box-outside: "):
        run(tmp_path, limits={"box-outside": 0.1, "label-missing": 0.1, "box-small": 0.0})


def test_a_pass_clears_the_report_of_a_refusal(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, rect(90, 0, 9, 9, **{"class": "a"})))
    with pytest.raises(DataError):
        run(tmp_path, limits={"box-outside": 0.1})
    run(tmp_path)
    assert not (tmp_path / "state/validate").exists()


@pytest.mark.parametrize("code", ["box-outsid", "class-rare"])
def test_an_unknown_code_in_limits_is_refused(tmp_path: Path, code: str) -> None:
    with pytest.raises(
        ParamsError, match=rf"validate\.limits\.{code} is not a known code\n  fix: .*box-outside"
    ):
        run(tmp_path, limits={code: 0.1})


class _Reader(HTMLParser):
    """Collects what a browser would load or run, and the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_harmless(tmp_path: Path) -> None:
    label = "<script>alert('猫')</script> كلب"
    away = rect(90, 0, 9, 9, **{"class": label})
    ingest_into(
        tmp_path, entry("a & b.png", rect(0, 0, 9, 9, **{"class": label}), away), entry("b.png", None)
    )
    run(tmp_path)
    page = _Reader()
    page.feed((tmp_path / "out/report.html").read_text(encoding="utf-8"))
    assert label in page.text
    assert "script" not in page.tags
    assert page.loads
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.loads)
    assert "region 1" in page.text


@pytest.mark.parametrize(("is_there", "shown"), [(True, 2), (False, 1)])
def test_a_picture_that_is_there_twice_is_shown_beside_its_copy(
    tmp_path: Path, is_there: bool, shown: int
) -> None:
    others = [entry(name, KEPT, rect(20, 20, 9, 9, **{"class": "a"})) for name in ("b.png", "c.png")]
    ingest_into(tmp_path, entry("a.png", KEPT), *others)
    shutil.copyfile(tmp_path / "raw/a.png", tmp_path / "raw/b.png")
    wanted = IngestParams(
        raw_dir=str(tmp_path / "raw"), annotations=["via.json"], images_dir=".", max_pixels=10**8
    )
    ingest(tmp_path / "ingested", wanted)
    if not is_there:
        (tmp_path / "raw/a.png").unlink()
    run(tmp_path)
    assert set(codes(tmp_path / "out")) == {"picture-duplicate"}
    page = _Reader()
    page.feed((tmp_path / "out/report.html").read_text(encoding="utf-8"))
    assert len(page.loads) == shown


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    ingest_into(
        tmp_path, *(entry(name, KEPT, rect(20, 20, 90, 9, **{"class": "b"})) for name in ("a.png", "b.png"))
    )
    run(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    run(tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(before) == ["images.jsonl", "objects.jsonl", "report.html", "report.json"]


def test_a_picture_that_went_away_leaves_the_report_whole(tmp_path: Path) -> None:
    ingest_into(tmp_path, entry("a.png", KEPT, rect(90, 0, 9, 9, **{"class": "a"})))
    (tmp_path / "raw/a.png").unlink()
    run(tmp_path)
    assert "box-outside" in (tmp_path / "out/report.html").read_text()


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not beside the repository")
@pytest.mark.parametrize(
    ("name", "annotations", "attribute", "classes", "dropped"),
    [
        (
            "rice_leaf",
            "*/*.json",
            "class_id",
            {"bacteria": 0, "brown_spot": 0, "leaf_smut": 0},
            {"label-missing": 2},
        ),
        ("stationery", "annotations/*.json", "label", {"book": 0, "pen": 0, "pencil": 0, "ruler": 0}, {}),
    ],
)
@pytest.mark.parametrize("wanted", ["named", "auto"])
def test_real_projects_pass(
    tmp_path: Path,
    name: str,
    annotations: str,
    attribute: str,
    classes: Mapping[str, int],
    dropped: Mapping[str, int],
    wanted: str,
) -> None:
    ingest_params = IngestParams(
        raw_dir=str(DATA / name), annotations=[annotations], images_dir=".", max_pixels=10**8
    )
    ingest(tmp_path / "ingested", ingest_params)
    label_attribute = attribute if wanted == "named" else "auto"
    validate(tmp_path / "ingested", DATA / name, tmp_path / "out", a_gate(label_attribute=label_attribute))
    summary = report(tmp_path / "out")
    assert summary["decisions"]["label_attribute"] == attribute
    assert summary["classes"].keys() == classes.keys()
    assert {
        each["code"]: each["count"] for each in summary["findings"] if each["severity"] == "error"
    } == dropped
