"""A newer export taken in: what changed is told, what judges stays, and a refusal changes nothing."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from synthetic import entry, make_project, noise_picture, rect, write_via

from cnnpipe.annotations import Picture, PinnedSplit, Region, SplitRow
from cnnpipe.errors import CnnpipeError, DataError, ParamsError, StorageError
from cnnpipe.files import read_jsonl
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects import init as init_module
from cnnpipe.projects import linking
from cnnpipe.projects import update as update_module
from cnnpipe.projects.update import Request, Updated, update
from cnnpipe.stages.ingest import ingest
from cnnpipe.stages.split import split
from cnnpipe.stages.validate import validate

KEPT = {"class": "a"}


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("CNNPIPE_STATE", str(tmp_path / "state"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a project of twelve pictures, 18 regions, annotated in mine/via_project.json."""
    make_project(tmp_path / "mine")
    return start(tmp_path, tmp_path / "mine/via_project.json", monkeypatch=monkeypatch)


def start(tmp_path: Path, *annotations: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    request = init_module.Request(
        directory=tmp_path / "project",
        annotations=annotations,
        images_dir=tmp_path / "mine",
        task="detect",
        label=None,
    )
    init_module.init(request, lambda _: None)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def take_in(*annotations: Path, images: Path | None = None, **changes: Any) -> Updated:
    wanted: dict[str, Any] = {"dry_run": False, "allow_removals": False}
    request = Request(annotations=annotations, images_dir=images, **(wanted | changes))
    return update(Path(), request, lambda _: None)


def entries_of(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["_via_img_metadata"]
    return value


def document() -> Document:
    return check(read_yaml(Path("params.yaml")), Document, where="params.yaml", section="")


def run_data_stages() -> tuple[list[Picture], list[Region]]:
    params = document()
    ingest(Path("data/ingested"), params.ingest)
    validate(Path("data/ingested"), Path(params.ingest.raw_dir), Path("data/validated"), params.validate_)
    split(Path("data/validated"), Path("data/splits_pinned.jsonl"), Path("data/splits.jsonl"), params.split)
    return (
        read_jsonl(Path("data/ingested/images.jsonl"), Picture),
        read_jsonl(Path("data/ingested/annotations.jsonl"), Region),
    )


def state_of(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def totals(updated: Updated) -> tuple[int, int, int, int]:
    changes = [each.regions for incoming in updated.files for each in incoming.changes]
    return (
        sum(each.added for each in changes),
        sum(each.removed for each in changes),
        sum(each.moved for each in changes),
        sum(each.relabelled for each in changes),
    )


def states(updated: Updated) -> dict[str, str]:
    changes = [each for incoming in updated.files for each in incoming.changes]
    return {each.image_id: each.state for each in changes if each.state != "same"}


def put(folder: Path, *names: str, seed: int = 100) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise_picture(seed + number).save(folder / name)


def test_a_newer_export_takes_the_place_of_the_older(project: Path, tmp_path: Path) -> None:
    entries = entries_of(tmp_path / "mine/via_project.json")
    keys = list(entries)
    entries[keys[0]]["regions"][0]["shape_attributes"]["x"] += 2
    entries[keys[2]]["regions"][0]["region_attributes"]["class"] = "other"
    entries[keys[1]]["regions"].pop(0)
    entries[keys[3]]["regions"].append(rect(0, 30, 2, 2, **KEPT))
    del entries[keys[4]]
    newer = tmp_path / "downloads/via_project(3).json"
    write_via(newer, entries, project=False)
    updated = take_in(newer)
    assert updated.files[0].replaces == "images/via_project.json"
    assert states(updated) == {
        "images/images/picture_0000.png": "changed",
        "images/images/picture_0001.png": "changed",
        "images/images/picture_0002.png": "changed",
        "images/images/picture_0003.png": "changed",
        "images/images/picture_0004.png": "removed",
    }
    assert totals(updated) == (1, 2, 1, 1)
    assert (project / "data/raw/images/via_project.json").read_bytes() == newer.read_bytes()
    assert (project / "data/raw/images/images/picture_0004.png").exists()  # told, but left
    pictures, regions = run_data_stages()
    assert (len(pictures), len(regions)) == (11, 17)


def test_the_same_file_again_changes_nothing(project: Path, tmp_path: Path) -> None:
    run_data_stages()
    before = state_of(project)
    updated = take_in(tmp_path / "mine/via_project.json")
    assert (states(updated), updated.pinned) == ({}, {})
    assert state_of(project) == before


def test_a_dry_run_tells_and_changes_nothing(project: Path, tmp_path: Path) -> None:
    run_data_stages()
    newer = newer_with(tmp_path, entry("new.png", rect(1, 1, 9, 9, **KEPT)))
    put(tmp_path / "more", "new.png")
    before = state_of(project)
    dry = take_in(newer, images=tmp_path / "more", dry_run=True)
    assert state_of(project) == before
    wet = take_in(newer, images=tmp_path / "more")
    assert (
        (states(dry), totals(dry))
        == (states(wet), totals(wet))
        == ({"images/new.png": "added"}, (1, 0, 0, 0))
    )


def newer_with(tmp_path: Path, *more: Mapping[str, Any]) -> Path:
    """Write an export of all that is annotated, and of more; return its path."""
    entries = list(entries_of(tmp_path / "mine/via_project.json").values())
    write_via(tmp_path / "newer.json", [*entries, *more])
    return tmp_path / "newer.json"


def test_new_pictures_come_in_and_go_to_the_place_they_have(project: Path, tmp_path: Path) -> None:
    names = ["images/neu ü #1.png", "images/[2], 50%.PNG"]
    put(tmp_path / "mine", *names)
    take_in(
        newer_with(tmp_path, *(entry(name, rect(1, 1, 9, 9, **KEPT)) for name in names)),
        images=tmp_path / "mine",
    )
    for name in names:
        assert (project / "data/raw/images" / name).samefile(tmp_path / "mine" / name)
    pictures, regions = run_data_stages()
    assert (len(pictures), len(regions)) == (14, 20)


def test_new_pictures_that_are_nowhere_are_refused(project: Path, tmp_path: Path) -> None:
    newer = newer_with(tmp_path, entry("new.png", rect(1, 1, 9, 9, **KEPT)))
    before = state_of(project)
    with pytest.raises(DataError, match=r"1 of 13 pictures are not in the project, first new\.png") as caught:
        take_in(newer)
    assert "--images" in caught.value.fix
    assert state_of(project) == before


def test_what_judged_goes_on_judging(project: Path, tmp_path: Path) -> None:
    run_data_stages()
    splits = {row.image_id: row.split for row in read_jsonl(Path("data/splits.jsonl"), SplitRow)}
    put(tmp_path / "mine", *(f"images/new_{number}.png" for number in range(12)))
    more = [entry(f"images/new_{number}.png", rect(1, 1, 9, 9, **KEPT)) for number in range(12)]
    updated = take_in(newer_with(tmp_path, *more), images=tmp_path / "mine")
    assert sum(updated.pinned.values()) == 12
    pinned = {line.image_id: line.split for line in read_jsonl(Path("data/splits_pinned.jsonl"), PinnedSplit)}
    assert pinned == splits
    run_data_stages()
    after = {row.image_id: row.split for row in read_jsonl(Path("data/splits.jsonl"), SplitRow)}
    assert len(after) == 24
    assert {image_id: after[image_id] for image_id in pinned} == pinned


def test_pins_that_are_there_are_not_touched(project: Path, tmp_path: Path) -> None:
    run_data_stages()
    line = '{"image_id":"images/images/picture_0000.png","split":"test"}\n'
    Path("data/splits_pinned.jsonl").write_text(line)
    updated = take_in(newer_with(tmp_path, entry("images/picture_0000.png", rect(1, 1, 9, 9, **KEPT))))
    assert updated.pinned == {}
    assert Path("data/splits_pinned.jsonl").read_text() == line


def test_most_pictures_do_not_go_unasked(project: Path, tmp_path: Path) -> None:
    entries = list(entries_of(tmp_path / "mine/via_project.json").values())
    write_via(tmp_path / "half.json", entries[:6])
    assert len(states(take_in(tmp_path / "half.json"))) == 6
    write_via(tmp_path / "few.json", entries[:2])
    before = state_of(project)
    with pytest.raises(DataError, match=r"lacks 4 of the 6 pictures of images/via_project\.json") as caught:
        take_in(tmp_path / "few.json")
    assert "--allow-removals" in caught.value.fix
    assert state_of(project) == before
    assert len(states(take_in(tmp_path / "few.json", allow_removals=True))) == 4


@pytest.mark.parametrize("with_images", [True, False])
def test_each_file_replaces_the_one_it_shares_most_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_images: bool
) -> None:
    for part in ("train", "val"):
        make_project(tmp_path / f"mine/{part}", num_pictures=6, seed=ord(part[0]))
    files = [tmp_path / f"mine/{part}/via_project.json" for part in ("train", "val")]
    start(tmp_path, *files, monkeypatch=monkeypatch)
    for part, file in zip(("train", "val"), files, strict=True):
        entries = entries_of(file)
        next(iter(entries.values()))["regions"].append(rect(0, 30, 2, 2, **KEPT))
        write_via(tmp_path / f"{part}_newer.json", entries)
    # the same names stand in both folders
    newer = (tmp_path / "val_newer.json", tmp_path / "train_newer.json")
    updated = take_in(*newer, images=tmp_path / "mine" if with_images else None)
    assert [incoming.replaces for incoming in updated.files] == [
        "images/val/via_project.json",
        "images/train/via_project.json",
    ]
    assert totals(updated) == (2, 0, 0, 0)


def test_two_files_do_not_take_one_place(project: Path, tmp_path: Path) -> None:
    more = entry("images/picture_0000.png", rect(1, 1, 9, 9, **KEPT))
    shutil.copy(newer_with(tmp_path, more), tmp_path / "one.json")
    with pytest.raises(
        DataError, match=r"would take the place of images/via_project\.json, as .*one\.json would"
    ):
        take_in(tmp_path / "one.json", newer_with(tmp_path, more, entry("images/picture_0001.png")))


def test_a_file_of_other_pictures_is_added_in_a_folder_of_its_own(project: Path, tmp_path: Path) -> None:
    # it has pictures of the same names as the project, but they are others
    other = make_project(tmp_path / "second batch #2", num_pictures=4, seed=7)
    shutil.move(other.folder / "via_project.json", tmp_path / "Batch 2 [ü].json")
    before = Path("params.yaml").read_text()
    updated = take_in(tmp_path / "Batch 2 [ü].json", images=other.folder)
    assert updated.files[0].replaces is None
    assert updated.files[0].target == "Batch 2 [ü]/Batch 2 [ü].json"
    assert document().ingest.annotations == ["images/via_project.json", "Batch 2 [ü]/Batch 2 [ü].json"]
    changed = set(before.splitlines()) ^ set(Path("params.yaml").read_text().splitlines())
    assert [line.strip() for line in changed] == ["- Batch 2 [ü]/Batch 2 [ü].json"]
    pictures, _ = run_data_stages()
    assert [picture.image_id for picture in pictures][:4] == [
        f"Batch 2 [ü]/images/picture_000{number}.png" for number in range(4)
    ]
    assert len(pictures) == 16
    # and a newer export of it finds its place again
    entries = entries_of(tmp_path / "Batch 2 [ü].json")
    put(other.folder, "images/picture_0005.png", seed=55)
    entries["new"] = entry("images/picture_0005.png", rect(1, 1, 9, 9, **KEPT))
    write_via(tmp_path / "again.json", entries)
    updated = take_in(tmp_path / "again.json", images=other.folder)
    assert states(updated) == {"Batch 2 [ü]/images/picture_0005.png": "added"}
    assert len(run_data_stages()[0]) == 17


def test_a_pattern_that_names_the_file_already_is_left_alone(project: Path, tmp_path: Path) -> None:
    params = Path("params.yaml")
    params.write_text(params.read_text().replace('    - "images/via_project.json"', '    - "**/*.json"'))
    before = params.read_bytes()
    put(tmp_path / "more", "x.png")
    write_via(tmp_path / "more.json", [entry("x.png", rect(1, 1, 9, 9, **KEPT))])
    take_in(tmp_path / "more.json", images=tmp_path / "more")
    assert params.read_bytes() == before
    assert len(run_data_stages()[0]) == 13


def predicted(tmp_path: Path, review: str, *names: str) -> Path:
    path = tmp_path / "predicted.json"
    write_via(
        path, [entry(name, rect(2, 2, 9, 9, score="0.9", **KEPT), cnnpipe_review=review) for name in names]
    )
    return path


def test_what_a_network_found_counts_when_a_person_checked_it(project: Path, tmp_path: Path) -> None:
    names = ("images/picture_0000.png", "images/picture_0001.png")
    updated = take_in(predicted(tmp_path, "machine", *names))
    assert updated.files[0].replaces is None
    assert updated.files[0].target == "images/predicted.json"
    assert (totals(updated)[0], [each.unchecked for each in updated.files[0].changes]) == (0, [True, True])
    assert len(run_data_stages()[1]) == 18
    updated = take_in(predicted(tmp_path, "checked", *names))
    assert updated.files[0].replaces == "images/predicted.json"
    # the checked entry stands for the whole picture: 2 instead of 1 + 2 regions
    added, removed, _, _ = totals(updated)
    assert added - removed == -1
    assert set(states(updated).values()) == {"changed"}
    assert len(run_data_stages()[1]) == 17


def test_predictions_on_new_pictures_are_told_as_what_they_become(project: Path, tmp_path: Path) -> None:
    images = tmp_path / "new leaves"
    put(images, "a.png", "b.png")
    names = ("predicted/a.png", "predicted/b.png")
    assert states(take_in(predicted(tmp_path, "machine", "a.png", "b.png"), images=images)) == dict.fromkeys(
        names, "added"
    )
    again = take_in(predicted(tmp_path, "machine", "a.png", "b.png"), images=images)
    assert (states(again), [each.unchecked for each in again.files[0].changes]) == ({}, [True, True])
    checked = take_in(predicted(tmp_path, "checked", "a.png"), images=images)
    assert states(checked) == {names[0]: "changed", names[1]: "removed"}
    assert totals(checked)[0] == 1


@pytest.mark.parametrize("review", ["machine", "checked"])
def test_what_a_check_does_to_an_annotated_picture_is_shown(
    project: Path, tmp_path: Path, review: str
) -> None:
    name = "images/picture_0001.png"
    image_id = f"images/{name}"
    before = len([each for each in run_data_stages()[1] if each.image_id == image_id])
    assert before > 0
    updated = take_in(predicted(tmp_path, review, name))
    added, removed, moved, _ = totals(updated)
    if review == "machine":
        assert (states(updated), added, removed, moved) == ({}, 0, 0, 0)
    else:
        assert states(updated) == {image_id: "changed"}
        assert (added + moved, removed + moved) == (1, before)


def test_predictions_on_new_pictures_come_in_with_them(project: Path, tmp_path: Path) -> None:
    put(tmp_path / "new leaves", "a.png", "b.png")
    updated = take_in(predicted(tmp_path, "checked", "a.png", "b.png"), images=tmp_path / "new leaves")
    assert updated.files[0].target == "predicted/predicted.json"
    pictures, regions = run_data_stages()
    assert (len(pictures), len(regions)) == (14, 20)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param('{"a": ', "the file ends too early", id="cut off"),
        pytest.param("a,b", "is not a VIA file", id="not VIA"),
        pytest.param("{}", "names no picture at all", id="no entry"),
    ],
)
def test_what_is_no_annotation_file_changes_nothing(
    project: Path, tmp_path: Path, content: str, told: str
) -> None:
    (tmp_path / "newer.json").write_text(content)
    before = state_of(project)
    with pytest.raises(DataError, match=told):
        take_in(tmp_path / "newer.json")
    assert state_of(project) == before


def test_data_of_another_project_is_refused(project: Path, tmp_path: Path) -> None:
    write_via(tmp_path / "other.json", [entry("leaf.png", rect(1, 1, 9, 9, **KEPT))])
    with pytest.raises(DataError, match=r"names no picture of this project \(1 named, first leaf\.png\)"):
        take_in(tmp_path / "other.json")
    entries = entries_of(tmp_path / "mine/via_project.json")
    sized = [{**each, "size": each["size"] + 1} for each in entries.values()]
    write_via(tmp_path / "other.json", sized)
    with pytest.raises(DataError, match="but 12 of 12 had another size"):
        take_in(tmp_path / "other.json")
    assert states(take_in(tmp_path / "other.json", images=tmp_path / "mine")) == {}


def test_pictures_that_differ_are_refused(project: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "mine", tmp_path / "edited")
    put(tmp_path / "edited", "images/picture_0003.png")
    with pytest.raises(
        DataError, match=r"1 pictures are others in --images than here, first images/picture_0003"
    ):
        take_in(newer_with(tmp_path, entry("x.png")), images=tmp_path / "edited")


def test_a_name_that_would_mean_two_pictures_is_refused_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "mine", *(f"deep/{name}.png" for name in "abcd"))
    write_via(
        tmp_path / "mine/via.json", [entry(f"C:\\x\\{name}.png", rect(1, 1, 9, 9, **KEPT)) for name in "abcd"]
    )
    project = start(tmp_path, tmp_path / "mine/via.json", monkeypatch=monkeypatch)
    put(tmp_path / "mine", "new/a.png")
    entries = [entry(f"C:\\x\\{name}.png", rect(1, 1, 9, 9, **KEPT)) for name in "bcd"]
    write_via(tmp_path / "newer.json", [*entries, entry("new/a.png", rect(1, 1, 9, 9, **KEPT))])
    write_via(tmp_path / "kept.json", [entry("C:\\x\\a.png", rect(1, 1, 9, 9, **KEPT))])
    params = Path("params.yaml")
    shutil.copy(tmp_path / "kept.json", "data/raw/images/kept.json")
    params.write_text(
        params.read_text().replace('    - "images/via.json"', "    - images/via.json\n    - images/kept.json")
    )
    before = state_of(project)
    with pytest.raises(DataError, match=r"would mean several pictures, and not images/deep/a\.png"):
        take_in(tmp_path / "newer.json", images=tmp_path / "mine")
    assert state_of(project) == before


def test_the_demo_and_a_folder_outside_are_refused(project: Path, tmp_path: Path) -> None:
    params = Path("params.yaml")
    text = params.read_text()
    params.write_text(
        text.replace("raw_dir: data/raw", "raw_dir: ../mine").replace('images_dir: "images"', "images_dir: .")
    )
    with pytest.raises(ParamsError, match="lies outside of the project"):
        take_in(tmp_path / "mine/via_project.json")
    params.write_text("sample: {seed: 1}\n" + text)
    with pytest.raises(ParamsError, match="is the demo"):
        take_in(tmp_path / "mine/via_project.json")
    params.unlink()
    with pytest.raises(ParamsError, match="file not found"):
        take_in(tmp_path / "mine/via_project.json")


@pytest.mark.parametrize("step", ["bring", "check", "params"])
def test_a_failure_on_the_way_leaves_the_old_state(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    put(tmp_path / "more", "x.png", "sub/y.png")
    write_via(
        tmp_path / "more.json", [entry(name, rect(1, 1, 9, 9, **KEPT)) for name in ("x.png", "sub/y.png")]
    )
    newer = newer_with(tmp_path, entry("images/picture_0000.png", rect(1, 1, 9, 9, **KEPT)))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "bring":
        monkeypatch.setattr(linking, "_hardlink", fail)
    else:
        target = "_check_found" if step == "check" else "_params_with"
        monkeypatch.setattr(update_module, target, fail)
    before = state_of(project)
    with pytest.raises((OSError, CnnpipeError)):
        take_in(newer, tmp_path / "more.json", images=tmp_path / "more")
    assert state_of(project) == before
    assert not (project / "data/raw/more").exists()


def test_a_project_that_may_not_be_written_is_told(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = newer_with(tmp_path, entry("images/picture_0000.png", rect(1, 1, 9, 9, **KEPT)))

    def refuse(path: Path, _: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StorageError, match=r"via_project\.json\.part: cannot be written: Permission denied"):
        take_in(newer)


@pytest.mark.parametrize("with_images", [True, False])
def test_pictures_that_a_killed_update_left_are_taken_as_they_are(
    project: Path, tmp_path: Path, with_images: bool
) -> None:
    put(tmp_path / "mine", "images/new.png")
    newer = newer_with(tmp_path, entry("images/new.png", rect(1, 1, 9, 9, **KEPT)))
    shutil.copy(tmp_path / "mine/images/new.png", project / "data/raw/images/images/new.png")
    updated = take_in(newer, images=tmp_path / "mine" if with_images else None)
    assert states(updated) == {"images/images/new.png": "added"}
    assert len(run_data_stages()[0]) == 13


def dvc(project: Path, *arguments: str) -> Sequence[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("'")[1] for line in ran.stdout.splitlines() if line.startswith("Running stage")]


@pytest.mark.slow
def test_only_what_depends_on_it_runs_again(project: Path, tmp_path: Path) -> None:
    assert dvc(project, "repro", "split") == ["code", "ingest", "validate", "split"]
    assert dvc(project, "repro", "split") == ["code"]
    take_in(newer_with(tmp_path, entry("images/picture_0000.png", rect(1, 1, 9, 9, **KEPT))))
    assert dvc(project, "repro", "split") == ["code", "ingest", "validate", "split"]
