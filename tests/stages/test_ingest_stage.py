"""VIA files and pictures to records: merged, looked up, decoded once, and never touched."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from synthetic import entry, make_project, noise_picture, rect, write_via

from cnnpipe.annotations import Finding, Picture, Region
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.files import read_jsonl
from cnnpipe.geometry.shapes import Rect, shape_to_box
from cnnpipe.params.ingest import IngestParams
from cnnpipe.stages.ingest import ingest

DATA = Path(__file__).resolve().parents[2].parent / "shared/data"


def params(raw: Path, *annotations: str, images_dir: str = ".", max_pixels: int = 10**6) -> IngestParams:
    return IngestParams(
        raw_dir=str(raw),
        annotations=list(annotations) or ["*.json"],
        images_dir=images_dir,
        max_pixels=max_pixels,
    )


def read(out: Path) -> tuple[list[Picture], list[Region], list[Finding]]:
    return (
        read_jsonl(out / "images.jsonl", Picture),
        read_jsonl(out / "annotations.jsonl", Region),
        read_jsonl(out / "findings.jsonl", Finding),
    )


def put(raw: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        noise_picture(number).save(raw / name)


def state_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.mark.parametrize("kind", ["via1", "via2", "project"])
def test_a_project_becomes_records(tmp_path: Path, kind: Any) -> None:
    project = make_project(tmp_path / "raw", splits=("train", "val"), kind=kind)
    before = state_of(project.folder)
    counts = ingest(tmp_path / "out", params(project.folder))
    pictures, regions, findings = read(tmp_path / "out")
    assert [picture.image_id for picture in pictures] == sorted(project.image_ids)
    boxes = {
        (region.image_id, region.region): shape_to_box(region.shape) for region in regions if region.shape
    }
    assert {key: (box.x_min, box.y_min, box.x_max, box.y_max) for key, box in boxes.items() if box} == {
        (each.image_id, each.region): each.box for each in project.objects
    }
    assert findings == []
    assert counts == {"annotation files": 1, "pictures": 12, "regions": len(project.objects)}
    assert state_of(project.folder) == before


def test_a_picture_is_described(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    noise_picture(1, width=40, height=24).save(raw / "a.png", exif=exif)
    write_via(raw / "via.json", [entry("a.png", scene="day")])
    ingest(tmp_path / "out", params(raw))
    [picture], _, _ = read(tmp_path / "out")
    assert (picture.width, picture.height, picture.exif_orientation, picture.mode) == (24, 40, 6, "RGB")
    content = (raw / "a.png").read_bytes()
    assert (picture.size_bytes, picture.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert len(picture.perceptual_hash) == 16
    assert picture.file_attributes == {"scene": "day"}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    project = make_project(tmp_path / "raw")
    put(project.folder, "extra/x.png", "extra2/x.png")
    write_via(
        project.folder / "more.json", [entry("x.png"), entry("gone.png"), entry("images/picture_0003.png")]
    )
    for out in ("one", "two"):
        ingest(tmp_path / out, params(project.folder))
    assert state_of(tmp_path / "one") == state_of(tmp_path / "two")


def test_regions_of_several_files_are_appended(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png")
    write_via(raw / "one.json", [entry("a.png", rect(1, 0, 5, 5), None, rect(2, 0, 5, 5), scene="day")])
    write_via(raw / "two.json", [entry("a.png", rect(3, 0, 5, 5), 5, scene="night", x="y")], project=False)  # type: ignore[arg-type]
    counts = ingest(tmp_path / "out", params(raw, "two.json", "*.json"))
    [picture], regions, findings = read(tmp_path / "out")
    xs = [region.shape.x for region in regions if isinstance(region.shape, Rect)]
    assert xs == [3, 1, 2]
    # numbers stay unique: 0 and 1 (unreadable) of two.json, then 0, 1 (unreadable) and 2 of one.json
    assert [region.region for region in regions] == [0, 2, 4]
    assert [region.source for region in regions] == ["two.json", "one.json", "one.json"]
    assert [(finding.code, finding.region) for finding in findings] == [
        ("picture-merged", None),
        ("region-unreadable", 1),
        ("region-unreadable", 3),
    ]
    assert {finding.where for finding in findings} == {"a.png"}
    assert picture.file_attributes == {"scene": "night", "x": "y"}
    assert counts["annotation files"] == 2


def review(filename: str, value: object, *xs: int) -> dict[str, Any]:
    return entry(filename, *(rect(x, 0, 5, 5) for x in xs), cnnpipe_review=value)


def xs_of(regions: list[Region]) -> list[float]:
    return [region.shape.x for region in regions if isinstance(region.shape, Rect)]


@pytest.mark.parametrize(
    "value", ["machine", " machine\n", {"machine": True}], ids=["text", "blanks", "checkbox"]
)
def test_unchecked_boxes_and_their_absence_are_no_truth(tmp_path: Path, value: object) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png", "b.png", "c.png")
    write_via(raw / "truth.json", [entry("a.png", rect(1, 0, 5, 5), scene="day")])
    found_by_a_network = [review("a.png", value, 2, 3), review("b.png", value, 4), review("c.png", value)]
    write_via(raw / "predicted.json", [*found_by_a_network, review("gone.png", value, 5)])
    ingest(tmp_path / "out", params(raw))
    [picture], regions, findings = read(tmp_path / "out")
    assert (picture.image_id, picture.file_attributes, xs_of(regions)) == ("a.png", {"scene": "day"}, [1])
    assert {finding.code for finding in findings} == {"picture-unchecked"}
    assert [(finding.where, finding.what[-12:]) for finding in findings] == [
        ("a.png", "(regions: 2)"),
        ("b.png", "(regions: 1)"),
        ("c.png", "(regions: 0)"),
        ("predicted.json: gone.png", "(regions: 1)"),
    ]
    assert findings[0].fix == "look the picture over in VIA, then set its cnnpipe_review to checked"


@pytest.mark.parametrize("value", ["checked", {"checked": True, "machine": False}])
def test_what_a_person_checked_counts_without_regions_too(tmp_path: Path, value: object) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png", "b.png")
    write_via(raw / "predicted.json", [review("a.png", value, 1), review("b.png", value)])
    ingest(tmp_path / "out", params(raw))
    pictures, regions, findings = read(tmp_path / "out")
    assert [picture.image_id for picture in pictures] == ["a.png", "b.png"]
    assert (xs_of(regions), findings) == ([1], [])


def test_of_several_entries_only_the_checked_ones_of_the_last_file_count(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png")
    write_via(raw / "1.json", [entry("a.png", rect(1, 0, 5, 5), scene="day")])
    write_via(raw / "2.json", [review("a.png", "checked", 2)])
    write_via(raw / "3.json", [review("a.png", "checked", 3), review("a.png", "checked", 4)])
    write_via(raw / "4.json", [review("a.png", "machine", 5)])
    ingest(tmp_path / "out", params(raw))
    [picture], regions, [finding] = read(tmp_path / "out")
    assert xs_of(regions) == [3, 4]
    assert [region.region for region in regions] == [0, 1]
    assert picture.file_attributes == {"cnnpipe_review": "checked"}
    assert (finding.code, finding.where) == ("picture-merged", "a.png")
    assert finding.what == "annotated 4 times, in 1.json, 2.json, 3.json; those checked in 3.json are kept"


def test_the_order_of_the_files_decides_which_check_is_the_last(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png")
    for number in (1, 2):
        write_via(raw / f"{number}.json", [review("a.png", "checked", number)])
    ingest(tmp_path / "out", params(raw, "2.json", "1.json"))
    _, regions, _ = read(tmp_path / "out")
    assert xs_of(regions) == [1]


def test_the_same_file_twice_is_read_once(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png")
    write_via(raw / "one.json", [entry("a.png", rect(0, 0, 5, 5))])
    (raw / "two.json").write_bytes((raw / "one.json").read_bytes())
    ingest(tmp_path / "out", params(raw, "one.json", "*.json"))
    _, regions, [finding] = read(tmp_path / "out")
    assert len(regions) == 1
    assert (finding.code, finding.where) == ("file-repeated", "two.json")


def test_lost_pictures_are_findings_with_their_place(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "good.png", "one/twice.png", "two/twice.png", "../secret.png")
    (raw / "cut.png").write_bytes((raw / "good.png").read_bytes()[:200])
    noise_picture(9, width=200, height=200).save(raw / "large.png")
    names = ["good.png", "gone.png", "gone.png", "../secret.png", "twice.png", "cut.png", "large.png"]
    write_via(raw / "via.json", [entry(name, rect(0, 0, 9, 9)) for name in names])
    ingest(tmp_path / "out", params(raw, max_pixels=1024))
    pictures, regions, findings = read(tmp_path / "out")
    assert [picture.image_id for picture in pictures] == ["good.png"]
    assert [region.image_id for region in regions] == ["good.png"]
    assert [(finding.where, finding.code) for finding in findings] == [
        ("cut.png", "picture-unreadable"),
        ("large.png", "picture-unreadable"),
        ("via.json: ../secret.png", "picture-outside"),
        ("via.json: gone.png", "picture-missing"),
        ("via.json: twice.png", "picture-ambiguous"),
    ]
    assert all(finding.fix and str(tmp_path) not in finding.what for finding in findings)


def test_what_is_odd_but_harmless_is_noticed(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "Upper.PNG", "size.png")
    write_via(raw / "via.json", [entry("upper.png"), entry("size.png", size=5), {"filename": ""}])
    ingest(tmp_path / "out", params(raw))
    pictures, _, findings = read(tmp_path / "out")
    assert len(pictures) == 2
    assert [(finding.where, finding.code) for finding in findings] == [
        ("Upper.PNG", "picture-case"),
        ("size.png", "picture-size"),
        ("via.json: 2_", "entry-unreadable"),
    ]


@pytest.mark.parametrize(
    ("orientation", "box", "noticed"),
    [
        pytest.param(6, (30, 5, 9, 9), True, id="beyond the upright width, within the stored one"),
        pytest.param(6, (5, 5, 9, 9), False, id="fits both"),
        pytest.param(6, (5, 30, 9, 9), False, id="fits the upright one"),
        pytest.param(6, (90, 5, 9, 9), False, id="fits neither"),
        pytest.param(1, (30, 5, 9, 9), False, id="no turn"),
        pytest.param(3, (30, 5, 9, 9), False, id="turned upside down"),
        pytest.param(6, (16, 5, 9, 9), False, id="one pixel beyond"),
    ],
)
def test_boxes_in_the_frame_before_the_exif_turn_are_noticed(
    tmp_path: Path, orientation: int, box: tuple[int, int, int, int], noticed: bool
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise_picture(1, width=40, height=24).save(raw / "a.png", exif=exif)  # upright: 24 x 40
    write_via(raw / "via.json", [entry("a.png", rect(0, 0, 1, 1), rect(*box))])
    ingest(tmp_path / "out", params(raw))
    findings = [(finding.code, finding.region) for finding in read(tmp_path / "out")[2]]
    assert findings == ([("exif-frame", 1)] if noticed else [])


def test_a_picture_annotated_unturned_is_noticed_as_a_whole(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 8
    for name in ("all.png", "some.png", "none.png"):
        noise_picture(1, width=40, height=24).save(raw / name, exif=exif)  # upright: 24 x 40
    turned, either, upright = rect(30, 5, 9, 9), rect(1, 1, 9, 9), rect(1, 30, 9, 9)
    regions = {"all.png": [turned, turned], "some.png": [turned, either], "none.png": [upright]}
    write_via(raw / "via.json", [entry(name, *each) for name, each in regions.items()])
    ingest(tmp_path / "out", params(raw))
    findings = read(tmp_path / "out")[2]
    assert {finding.code for finding in findings} == {"exif-frame"}
    assert [(finding.where, finding.region) for finding in findings] == [
        ("all.png", None),
        ("all.png", 0),
        ("all.png", 1),
        ("some.png", 0),
    ]
    assert findings[0].what == (
        "all its boxes (2) fit the picture only before its EXIF turn (orientation 8): "
        "it was annotated unturned"
    )


def declare(path: Path, attributes: Any) -> None:
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"_via_attributes": attributes}))


def test_what_the_files_declare_is_written_as_one(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png", "b.png")
    for name in ("a", "b"):
        write_via(raw / f"{name}.json", [entry(f"{name}.png")])
    declare(raw / "a.json", {"region": {"class": {"type": "radio", "options": {"0": "hen", "1": ""}}}})
    of_b = {"type": "radio", "options": {"0": "fox", "1": "owl", "2": "bee"}}
    declare(raw / "b.json", {"region": {"class": of_b}, "file": {"scene": {"type": "text"}}})
    counts = ingest(tmp_path / "out", params(raw))
    written = json.loads((tmp_path / "out/attributes.json").read_text())
    assert written["region"]["class"]["type"] == "radio"
    assert written["region"]["class"]["options"] == {"0": "hen", "1": "owl", "2": "bee"}
    assert written["file"]["scene"]["type"] == "text"
    assert counts["attribute-conflict"] == 1
    [conflict] = [each for each in read(tmp_path / "out")[2] if each.code == "attribute-conflict"]
    assert (conflict.where, conflict.what) == (
        "b.json",
        "the region attribute 'class': option '0' means 'fox', but 'hen' in a file before it; that counts",
    )


def test_how_much_is_to_be_seen_in_a_picture_is_noted(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "noise.png")
    Image.new("L", (300, 200), 77).save(raw / "plain.png")
    write_via(raw / "via.json", [entry("noise.png"), entry("plain.png")])
    ingest(tmp_path / "out", params(raw))
    noise, plain = read(tmp_path / "out")[0]
    assert (noise.contrast or 0) > 10
    assert plain.contrast == 0


def test_a_pattern_without_a_match_tells_what_is_there(tmp_path: Path) -> None:
    make_project(tmp_path / "raw")
    with pytest.raises(
        DataError, match=r"labels\*\.json: no annotation file there\n.*there are: via_project\.json"
    ):
        ingest(tmp_path / "out", params(tmp_path / "raw", "labels*.json"))
    assert not (tmp_path / "out").exists()


def test_files_of_every_kind_are_taken_together(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png", "b.png", "c.png", "d.png")
    write_via(raw / "1.json", [entry("a.png", rect(1, 0, 5, 5, **{"class": "0"}))], project=False)
    header = (
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    )
    shape = '"{""name"":""rect"",""x"":2,""y"":0,""width"":5,""height"":5}"'
    (raw / "2.csv").write_text(f'{header}\nb.png,-1,"{{}}",1,0,{shape},"{{""class"":""0""}}"')
    (raw / "3.json").write_text(
        json.dumps({"region": {"class": {"type": "radio", "options": {"0": "hen"}}}, "file": {}})
    )
    (raw / "4.txt").write_text("d.png\n")
    images = [{"id": 1, "file_name": "c.png", "width": 32, "height": 32}]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 0, 5, 5], "segmentation": [], "area": 25}
    categories = [{"id": 1, "name": "0", "supercategory": "class"}]
    (raw / "5.json").write_text(
        json.dumps({"info": {}, "images": images, "annotations": [box], "categories": categories})
    )
    counts = ingest(tmp_path / "out", params(raw, "*.*[nvt]"))
    pictures, regions, _ = read(tmp_path / "out")
    assert [picture.image_id for picture in pictures] == ["a.png", "b.png", "c.png", "d.png"]
    assert [(region.image_id, region.attributes) for region in regions] == [
        (name, {"class": "0"}) for name in ("a.png", "b.png", "c.png")
    ]
    assert xs_of(regions) == [1, 2, 3]
    assert counts["annotation files"] == 5
    declared = json.loads((tmp_path / "out/attributes.json").read_text())
    assert declared["region"]["class"]["options"]["0"] == "hen"


def test_tables_are_among_what_is_there(tmp_path: Path) -> None:
    make_project(tmp_path / "raw")
    (tmp_path / "raw/via.CSV").write_text("")
    with pytest.raises(DataError, match=r"there are: via\.CSV, via_project\.json"):
        ingest(tmp_path / "out", params(tmp_path / "raw", "labels*.json"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.json or \.csv file lies there"):
        ingest(tmp_path / "out", params(tmp_path / "empty"))


def test_a_missing_raw_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"raw: no such folder\n  fix: put your pictures"):
        ingest(tmp_path / "out", params(tmp_path / "raw"))


def test_no_picture_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_via(tmp_path / "raw/via.json", [])
    with pytest.raises(DataError, match=r"via\.json: names no picture at all"):
        ingest(tmp_path / "out", params(tmp_path / "raw"))


@pytest.mark.parametrize("pattern", ["/etc/*.json", "../*.json", "", "a**b/*.json"])
def test_a_pattern_that_leads_out_is_refused(tmp_path: Path, pattern: str) -> None:
    make_project(tmp_path / "raw")
    with pytest.raises(ParamsError, match=r"ingest\.annotations"):
        ingest(tmp_path / "out", params(tmp_path / "raw", pattern))


def test_an_images_dir_that_leads_out_is_refused(tmp_path: Path) -> None:
    make_project(tmp_path / "raw")
    with pytest.raises(ParamsError, match=r"ingest\.images_dir"):
        ingest(tmp_path / "out", params(tmp_path / "raw", images_dir="../"))


def test_a_name_with_brackets_is_a_name(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png")
    write_via(raw / "via [1].json", [entry("a.png")])
    assert ingest(tmp_path / "out", params(raw, "via [1].json"))["pictures"] == 1


def test_a_cut_off_file_stops_with_its_place(tmp_path: Path) -> None:
    project = make_project(tmp_path / "raw")
    path = project.folder / project.annotations
    path.write_text(path.read_text()[:500])
    with pytest.raises(DataError, match=r"via_project\.json: line 1, column \d+: the file ends too early"):
        ingest(tmp_path / "out", params(project.folder))


def test_a_failure_leaves_the_earlier_output(tmp_path: Path) -> None:
    project = make_project(tmp_path / "raw")
    ingest(tmp_path / "out", params(project.folder))
    before = state_of(tmp_path / "out")
    with pytest.raises(DataError):
        ingest(tmp_path / "out", params(project.folder, "gone.json"))
    assert state_of(tmp_path / "out") == before


def test_records_hold_what_msgspec_can_read_again(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "a.png")
    odd = {"n": 10**30, "none": None, "deep": {"a": [1, {"b": "\u2028"}]}}
    text = json.dumps({"a": entry("a.png", rect(0, 0, 5, 5, **odd), **odd)})
    (raw / "via.json").write_text(text)
    ingest(tmp_path / "out", params(raw))
    [picture], [region], _ = read(tmp_path / "out")
    assert picture.file_attributes == odd
    assert region.attributes == odd


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not beside the repository")
@pytest.mark.parametrize(
    ("name", "annotations", "pictures", "regions"),
    [("rice_leaf", "*/*.json", 114, 776), ("stationery", "annotations/*.json", 50, 190)],
)
def test_real_projects_are_ingested_whole(
    tmp_path: Path, name: str, annotations: str, pictures: int, regions: int
) -> None:
    counts = ingest(tmp_path / "out", params(DATA / name, annotations, max_pixels=10**8))
    found_pictures, found_regions, findings = read(tmp_path / "out")
    assert (len(found_pictures), len(found_regions), findings) == (pictures, regions, [])
    assert counts["pictures"] == pictures
    sizes = {picture.image_id: picture for picture in found_pictures}
    turned = [picture for picture in found_pictures if picture.exif_orientation != 1]
    assert bool(turned) == (name == "stationery")
    for region in found_regions:  # every box lies in its upright picture, but for a few pixels
        box = shape_to_box(region.shape) if region.shape else None
        if box is not None:  # one polygon is a single point
            assert box.x_max <= sizes[region.image_id].width + 20
            assert box.y_max <= sizes[region.image_id].height + 20
