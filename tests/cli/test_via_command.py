"""`cnnpipe via` as a user meets it: what it prints, what it writes, and what it exits with."""

import json
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from synthetic import entry, make_project, rect

from cnnpipe.cli.main import run
from cnnpipe.cli.via import Target
from cnnpipe.formats.via.convert import TARGETS
from cnnpipe.formats.via.read import read_via


class Ended(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def via(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str | Path) -> Ended:
        try:
            code = run(["via", *map(str, arguments)])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


def write(path: Path, *entries: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps({f"{each['filename']}{each['size']}": each for each in entries}))
    return path


def box(x: float, label: str, **more: str) -> dict[str, Any]:
    return rect(x, 0, 9, 9, **{"class": label}, **more)


DIRTY = entry("a.png", box(0, "sandwich"), box(20, "sandwich "), box(40, "sandiwch"), box(60, ""))


def test_the_targets_are_those_that_can_be_written() -> None:
    assert typing.get_args(Target) == TARGETS


def test_check_as_json(via: Any) -> None:
    file = write(Path("mine.json"), DIRTY, entry("b.png"))
    ended = via("check", file, "--json")
    assert (ended.code, ended.err) == (0, "")
    value = ended.value
    assert (value["kind"], value["images"], value["regions"]) == ("annotations-json", 2, 4)
    assert value["files"] == [
        {"file": "mine.json", "kind": "annotations-json", "version": "2", "images": 2, "regions": 4}
    ]
    assert value["label_attribute"] == "class"
    assert value["classes"] == {
        "sandwich": {"regions": 2, "images": 1},
        "sandiwch": {"regions": 1, "images": 1},
    }
    assert value["suggested_labels"] == {"sandiwch": "sandwich"}
    missing = next(each for each in value["findings"] if each["code"] == "label-missing")
    assert (missing["severity"], missing["count"], missing["more"]) == ("error", 1, 0)
    assert missing["places"] == [
        {"file": "mine.json", "image": "a.png", "region": 3, "what": "'class' has no value"}
    ]
    assert missing["fix"]
    assert {"label-untidy", "label-spelling", "picture-empty"} <= {each["code"] for each in value["findings"]}
    assert "error" not in value


def test_check_for_people_ends_in_lines_for_a_label_map(via: Any) -> None:
    ended = via("check", write(Path("mine.json"), DIRTY))
    assert "mine.json: annotations-json, version 2, 1 picture, 4 regions" in ended.out
    assert "not looked at (no --images)" in ended.out
    assert "class: region attribute 'class', the only one with values" in ended.out
    assert "error label-missing 1\n  a.png, region 3: 'class' has no value\n" in ended.out
    Path("map.yaml").write_text(ended.out.splitlines()[-1])
    mapped = via("check", "mine.json", "--labels", "map.yaml", "--json").value
    assert mapped["classes"] == {"sandwich": {"regions": 3, "images": 1}}
    assert mapped["suggested_labels"] == {}


def test_check_is_strict_on_errors_only(via: Any) -> None:
    dirty = write(Path("dirty.json"), DIRTY)
    untidy = write(Path("untidy.json"), entry("a.png", box(0, "x "), box(20, "x")))
    assert [via("check", each, "--strict").code for each in (dirty, untidy)] == [3, 0]


def test_check_reports_on_the_other_files_when_one_is_none(via: Any) -> None:
    good = write(Path("good.json"), DIRTY)
    Path("bad.json").write_text("{")
    ended = via("check", good, "bad.json", "gone.json", Path(), "--json")
    assert ended.code == 3
    value = ended.value
    assert (value["kind"], value["images"], value["regions"]) == ("annotations-json", 1, 4)
    assert [each.get("error", {}).get("what") for each in value["files"]] == [
        None,
        "the file ends too early",
        "no such file",
        "is a folder, not a VIA file",
    ]
    assert value["error"]["where"].startswith("bad.json")
    assert value["error"]["fix"]
    told = via("check", good, "bad.json")
    assert (told.code, "bad.json: refused: the file ends too early" in told.out) == (3, True)
    assert told.err.startswith("error: bad.json")


def test_check_notices_the_same_file_twice_and_an_empty_one(via: Any) -> None:
    file = write(Path("mine.json"), DIRTY)
    Path("copy.json").write_bytes(file.read_bytes())
    Path("empty.json").write_text("{}")
    value = via("check", file, "copy.json", "empty.json", "--json").value
    assert (value["images"], value["regions"]) == (1, 4)
    assert value["files"][1]["repeats"] == "mine.json"
    told = [
        (each["code"], each["places"][0]["file"]) for each in value["findings"] if "file-" in each["code"]
    ]
    assert told == [("file-repeated", "copy.json"), ("file-empty", "empty.json")]


def test_check_tells_region_numbers_of_the_file_they_are_in(via: Any) -> None:
    write(Path("one.json"), entry("a.png", box(0, "x"), box(20, "x")))
    write(Path("two.json"), entry("a.png", box(40, "x"), box(60, "")))
    value = via("check", "one.json", "two.json", "--json").value
    [missing] = [each for each in value["findings"] if each["code"] == "label-missing"]
    assert (missing["places"][0]["file"], missing["places"][0]["region"]) == ("two.json", 1)


def test_check_of_regions_without_any_class_looks_at_their_shapes(via: Any) -> None:
    shapes = [rect(0, 0, 9, 9), rect(20, 20, 0, 5)]
    value = via("check", write(Path("mine.json"), entry("a.png", *shapes)), "--json").value
    counts = {each["code"]: each["count"] for each in value["findings"]}
    assert (counts, value["label_attribute"], value["classes"]) == (
        {"label-missing": 2, "box-degenerate": 1},
        None,
        {},
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_an_unknown_label_is_told_with_those_that_are_there(via: Any, as_json: bool) -> None:
    file = write(Path("mine.json"), DIRTY)
    ended = via("check", file, "--label", "clas", *(["--json"] if as_json else []))
    told = ended.value["error"]["fix"] if as_json else ended.err
    assert ended.code == 3
    assert "did you mean 'class'" in told
    assert "class (3 values, 2 distinct)" in told
    assert via("diff", file, file, "--label", "clas").code == 3
    assert via("stats", file, "--label", "clas").code == 3


def test_check_with_pictures_and_a_page(via: Any) -> None:
    Path("pictures").mkdir()
    Image.effect_noise((60, 40), 80).save("pictures/a.png")
    outside = entry("a.png", rect(0, 0, 20, 20, **{"class": "x"}), rect(50, 0, 90, 9, **{"class": "<b>"}))
    file = write(Path("mine.json"), outside, entry("gone.png", box(0, "x")))
    ended = via("check", file, "--images", "pictures", "--html", "page.html", "--json")
    assert ended.code == 0
    codes = {each["code"]: each for each in ended.value["findings"]}
    assert codes["box-clipped"]["places"][0]["region"] == 1
    assert codes["picture-missing"]["places"][0]["image"] == "gone.png"
    assert "--images" in codes["picture-missing"]["what"]
    page = Path("page.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "&lt;b&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_is_never_written_over_what_is_read(via: Any) -> None:
    file = write(Path("mine.json"), DIRTY)
    before = file.read_bytes()
    os.link(file, "link.json")
    for page in ("mine.json", "link.json"):
        assert via("check", file, "--html", page).code == 3
    assert file.read_bytes() == before


@pytest.mark.parametrize("target", ["via1-json", "via2-json", "via2-project", "via2-csv", "via3-project"])
def test_convert_keeps_the_regions(via: Any, tmp_path: Path, target: str) -> None:
    make_project(tmp_path / "mine", num_pictures=3)
    ended = via("convert", "mine/via_project.json", "out", "--to", target, "--json")
    assert (ended.code, ended.err) == (0, "")
    value = ended.value
    assert (value["written"], value["to"], value["images"], value["regions"]) == (True, target, 3, 4)
    assert via("diff", "mine/via_project.json", "out", "--json").value["totals"]["regions"] == {
        "added": 0,
        "removed": 0,
        "moved": 0,
        "relabelled": 0,
    }


@pytest.mark.parametrize("target", ["coco", "coco-via", "yolo", "voc"])
def test_convert_measures_the_pictures(via: Any, tmp_path: Path, target: str) -> None:
    make_project(tmp_path / "mine", num_pictures=3)
    if target != "coco-via":  # which VIA reads without sizes
        without = via("convert", "mine/via_project.json", "out", "--to", target)
        assert (without.code, "--images" in without.err, Path("out").exists()) == (3, True, False)
    ended = via("convert", "mine/via_project.json", "out", "--to", target, "--images", "mine")
    assert ended.code == 0
    assert f"written: {target}, 3 pictures, 4 regions -> out" in ended.out
    assert Path("out").exists()


def test_convert_lists_losses_and_is_strict_on_them(via: Any) -> None:
    file = write(Path("mine.json"), entry("a.png", box(0, "x", note="n")))
    Path("pictures").mkdir()
    Image.new("L", (60, 40)).save("pictures/a.png")
    command = ("convert", file, "out.json", "--to", "coco", "--images", "pictures")
    ended = via(*command)
    assert ended.code == 0
    assert "lost: 1 × attributes of a region besides its class (a.png region 0: note)" in ended.out
    assert via(*command).code == 3  # exists
    assert via(*command, "--force").code == 0
    strict = via(*command, "--force", "--strict", "--json")
    assert (strict.code, "a.png" in {each["where"] for each in strict.value["losses"]}) == (3, True)


def test_convert_writes_over_nothing_that_it_reads(via: Any) -> None:
    file = write(Path("mine.json"), DIRTY)
    before = file.read_bytes()
    Path("link.json").symlink_to("mine.json")
    os.link(file, "hard.json")
    for out in ("mine.json", "link.json", "hard.json", "../" + Path.cwd().name + "/mine.json"):
        ended = via("convert", file, out, "--to", "via2-csv", "--force")
        assert (ended.code, "it is read" in ended.err) == (3, True), out
    assert file.read_bytes() == before
    Path("folder").mkdir()
    assert via("convert", file, "folder", "--to", "via2-csv", "--force").code == 3
    ended = via("convert", "folder/../mine.json", ".", "--to", "yolo", "--images", ".", "--force")
    assert ended.code == 3


def test_convert_rewrites_spellings_and_says_so(via: Any) -> None:
    file = write(Path("mine.json"), DIRTY)
    Path("map.yaml").write_text("sandiwch: sandwich\n")
    ended = via("convert", file, "out.json", "--to", "via2-json", "--labels", "map.yaml")
    assert ended.code == 0
    assert "relabelled: 'sandiwch' is now 'sandwich', 1 times" in ended.out
    [picture] = read_via(Path("out.json"), where="out").entries
    assert [each.attributes["class"] for each in picture.regions] == ["sandwich", "sandwich ", "sandwich", ""]


def test_convert_tells_what_could_not_be_read(via: Any) -> None:
    broken = entry("a.png", box(0, "x"))
    broken["regions"].append(None)
    write(Path("mine.json"), broken)
    ended = via("convert", "mine.json", "out.json", "--to", "via2-json", "--strict")
    assert (ended.code, "read with error: 1 × region-unreadable (a.png region 1" in ended.out) == (3, True)


def test_an_unreadable_label_map_and_an_unknown_target(via: Any) -> None:
    file = write(Path("mine.json"), DIRTY)
    Path("map.yaml").write_text("- a\n- b\n")
    for labels in ("map.yaml", "gone.yaml"):
        ended = via("check", file, "--labels", labels, "--json")
        assert (ended.code, ended.value["error"]["where"]) == (3, labels)
    ended = via("convert", file, "out.json", "--to", "via2-projekt")
    assert (ended.code, "via2-project" in ended.err) == (2, True)


def test_merge_files_of_splits(via: Any) -> None:
    write(Path("train.json"), entry("a.png", box(0, "x")))
    write(Path("val.json"), entry("a.png", box(0, "x"), box(20, "y")), entry("b.png", box(0, "y")))
    ended = via("merge", "train.json", "val.json", "-o", "all.json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "in several files: 1 picture, merged",
        "written: via2-project, 2 pictures, 3 regions -> all.json",
    ]
    value = via("check", "all.json", "--json").value
    assert (value["kind"], value["images"], value["regions"]) == ("project-json", 2, 3)


def test_merge_lists_conflicts_and_writes_nothing_until_told(via: Any) -> None:
    write(Path("a.json"), entry("p.png", box(0, "x"), box(20, "x")))
    write(Path("b.json"), entry("p.png", box(0, "y"), box(20, "z")))
    ended = via("merge", "a.json", "b.json", "-o", "all.json")
    assert (ended.code, Path("all.json").exists()) == (3, False)
    assert ended.out.splitlines()[1:] == [
        'conflict: p.png, region 0: \'class\' is "x" in a.json, "y" in b.json',
        'conflict: p.png, region 1: \'class\' is "x" in a.json, "z" in b.json',
    ]
    assert "--keep" in ended.err
    value = via("merge", "a.json", "b.json", "-o", "all.json", "--json").value
    assert (value["written"], len(value["conflicts"])) == (False, 2)
    assert "2 values" in value["error"]["what"]
    assert via("merge", "a.json", "b.json", "-o", "all.json", "--keep", "last").code == 0
    [picture] = read_via(Path("all.json"), where="all").entries
    assert [each.attributes["class"] for each in picture.regions] == ["y", "z"]


def test_diff_tells_each_picture(via: Any) -> None:
    write(Path("a.json"), entry("p.png", box(0, "x"), box(20, "x")), entry("q.png", box(0, "x")))
    write(Path("b.json"), entry("p.png", box(3, "x"), box(20, "y"), box(40, "z")))
    ended = via("diff", "a.json", "b.json", "--exit-code")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines() == [
        "p.png",
        "  added: region 2 (z)",
        "  moved: region 0 (x), IoU 0.50",
        "  relabelled: region 1 'x' -> 'y'",
        "q.png: removed",
        "  removed: region 0 (x)",
        "pictures: 1 removed, 1 changed",
        "regions: 1 added, 1 removed, 1 moved, 1 relabelled",
    ]
    assert via("diff", "a.json", "b.json").code == 0
    same = via("diff", "a.json", "a.json", "--exit-code", "--json")
    assert (same.code, same.value["same"]) == (0, True)


def test_stats(via: Any, tmp_path: Path) -> None:
    make_project(tmp_path / "mine", num_pictures=3)
    ended = via("stats", "mine/via_project.json", "--images", "mine", "--json")
    assert (ended.code, ended.err) == (0, "")
    value = ended.value
    assert (value["images"], value["regions"], value["num_sized"]) == (3, 4, 3)
    assert value["labels"]["circle"]["regions"] >= 1
    told = via("stats", "mine/via_project.json")
    assert "pictures: 3, 0 of them without regions; size known of 0" in told.out


def test_what_would_steer_the_terminal_is_not_printed(via: Any) -> None:
    file = write(Path("mine.json"), entry("a\x1b[2J.png", box(0, "\x1b[31mred"), box(20, "")))
    for ended in (via("check", file), via("stats", file), via("diff", file, file)):
        assert "\x1b" not in ended.out + ended.err


@pytest.mark.parametrize("command", ["check", "convert", "merge", "diff", "stats"])
def test_every_command_has_help_with_an_example(via: Any, command: str) -> None:
    ended = via(command, "--help")
    assert (ended.code, f"Example: cnnpipe via {command} " in " ".join(ended.out.split())) == (0, True)


def test_a_default_is_the_class_of_regions_that_say_none(via: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", entry("a.png", rect(0, 0, 9, 9), rect(20, 0, 9, 9)))
    assert via("check", path, "--json").value["classes"] == {}
    checked = via("check", path, "--default-label", "car", "--json").value
    assert checked["classes"] == {"car": {"regions": 2, "images": 1}}
    assert [each["code"] for each in checked["findings"]] == ["class-rare"]
    written = via("convert", path, tmp_path / "b.json", "--to", "via2-json", "--default-label", "car")
    assert "relabelled: no value is now 'car', 2 times" in written.out + written.err
    [read] = read_via(tmp_path / "b.json", where="b.json").entries
    assert [region.attributes for region in read.regions] == [{"class": "car"}] * 2
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    via(
        "convert",
        path,
        tmp_path / "coco.json",
        "--to",
        "coco",
        "--default-label",
        "car",
        "--images",
        tmp_path,
    )
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert [each["name"] for each in coco["categories"]] == ["car"]
    assert len(coco["annotations"]) == 2


def test_no_word_is_of_a_project_that_there_is_not(via: Any, tmp_path: Path) -> None:
    two = rect(0, 40, 9, 9, **{"class": {"a": True, "b": True}})
    path = write(
        tmp_path / "a.json", DIRTY, entry("b.png", rect(0, 0, 1, 1, **{"class": "c"}), two), entry("c.png")
    )
    checked = via("check", path)
    assert {"label-several", "box-small", "label-missing", "picture-empty"} <= set(checked.out.split())
    assert "validate." not in checked.out
    assert "ingest." not in via("check", path, "--images", tmp_path).out
