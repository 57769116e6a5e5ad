"""A project around a user's files: whole or absent, and the user's own files unchanged."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from synthetic import entry, make_project, noise_picture, rect, write_via

from cnnpipe.annotations import LabelledObject, Picture
from cnnpipe.errors import BusyError, CnnpipeError, DataError, ParamsError, StorageError
from cnnpipe.files import read_jsonl
from cnnpipe.formats.via.convert import ConvertOptions, convert
from cnnpipe.formats.via.read import read_via
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.init import Made, Request, init
from cnnpipe.stages.ingest import ingest
from cnnpipe.stages.validate import validate

ODD = ("a b.png", "Ü 稲.PNG", "#1 50%.png", "a%20b,c.png", "[1](2).png", "-q.png", "${x}'\".png")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user without any set-up of git, in a folder that is in no repository."""
    monkeypatch.setenv("HOME", "")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("CNNPIPE_STATE", str(tmp_path / "state"))


def make(tmp_path: Path, *annotations: Path, images: Path | None = None, **changes: Any) -> Made:
    wanted: dict[str, Any] = {
        "directory": tmp_path / "project",
        "annotations": annotations or (tmp_path / "mine/via_project.json",),
        "images_dir": images or tmp_path / "mine",
        "task": "detect",
        "label": None,
    }
    return init(Request(**(wanted | changes)), lambda _: None)


def state_of(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def params_of(project: Path) -> Document:
    return check(read_yaml(project / "params.yaml"), Document, where="params.yaml", section="")


def run_data_stages(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """Run `ingest` and `validate` as DVC would; return the pictures."""
    monkeypatch.chdir(project)
    document = params_of(project)
    ingest(Path("data/ingested"), document.ingest)
    validate(Path("data/ingested"), Path(document.ingest.raw_dir), Path("data/validated"), document.validate_)
    return read_jsonl(Path("data/ingested/images.jsonl"), Picture)


@pytest.mark.parametrize("task", ["detect", "classify"])
@pytest.mark.parametrize("kind", ["via1", "project"])
def test_a_project_is_made_of_any_via_file(
    tmp_path: Path, task: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_project(tmp_path / "mine", num_pictures=12, kind=kind)
    noise_picture(99).save(tmp_path / "mine/images/not_named.png")
    before = state_of(tmp_path / "mine")
    made = make(tmp_path, task=task)
    assert (len(made.survey.pictures), len(made.survey.objects)) == (12, len(mine.objects))
    assert made.survey.label.attribute == "class"
    pictures = run_data_stages(tmp_path / "project", monkeypatch)
    assert [picture.image_id for picture in pictures] == [f"images/{name}" for name in mine.image_ids]
    assert state_of(tmp_path / "mine") == before
    assert not (tmp_path / "project/data/raw/images/images/not_named.png").exists()
    assert list(params_of(tmp_path / "project").experiments) == (
        ["fcos-lite0"] if task == "detect" else ["lenet", "lite0"]
    )
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_table_makes_a_project_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    rows = [
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    ]
    shape = '"{""name"":""rect"",""x"":1,""y"":1,""width"":9,""height"":9}"'
    for number in range(4):
        noise_picture(number).save(tmp_path / f"mine/{number}.png")
        rows.append(f'{number}.png,-1,"{{}}",1,0,{shape},"{{""class"":""ab""}}"')
    (tmp_path / "mine/via.csv").write_text("\n".join(rows))
    made = make(tmp_path, tmp_path / "mine/via.csv")
    assert [each.label for each in made.survey.objects] == ["ab"] * 4
    assert len(run_data_stages(tmp_path / "project", monkeypatch)) == 4


def test_odd_names_go_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{folder}/{name}" for folder in ("Dir #1", "Ünter/[x]") for name in ODD]
    for number, name in enumerate(names):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        noise_picture(number).save(tmp_path / "mine" / name, format="PNG")
    via = tmp_path / "mine" / "Meine [neue], 稲 #2.json"
    write_via(via, [entry(name, rect(1, 1, 9, 9, **{"class": "a"})) for name in names])
    make(tmp_path, via, directory=tmp_path / "Mein Projekt #1 [ü]")
    pictures = run_data_stages(tmp_path / "Mein Projekt #1 [ü]", monkeypatch)
    assert [picture.image_id for picture in pictures] == sorted(f"images/{name}" for name in names)


@pytest.mark.slow
def test_git_and_dvc_know_the_project(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    made = make(tmp_path)
    assert (made.git, made.is_signed) == ("own", False)
    project = tmp_path / "project"
    assert git(project, "status", "--porcelain") == ""
    assert set(git(project, "ls-files").split()) == {
        ".dvc/.gitignore",
        ".dvc/config",
        ".dvcignore",
        ".gitattributes",
        ".gitignore",
        "README.md",
        "data/raw/images/via_project.json",
        "data/splits_pinned.jsonl",
        "dvc.yaml",
        "flows/__init__.py",
        "flows/pipeline.py",
        "flows/stage.py",
        "params.yaml",
        "prefect.toml",
        "prefect.yaml",
        "requirements.txt",
    }
    ran = dvc(project, "repro", "validate")
    assert ran.returncode == 0, ran.stderr
    assert git(project, "status", "--porcelain") == "?? dvc.lock"
    linked = project / "data/raw/images/images/picture_0000.png"
    assert linked.samefile(tmp_path / "mine/images/picture_0000.png")  # DVC left it as it was
    assert linked.stat().st_mode & 0o200


@pytest.mark.slow
def test_it_works_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert make(tmp_path).git == "none"
    assert not (tmp_path / "project/.git").exists()
    ran = dvc(tmp_path / "project", "repro", "validate")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_inside_a_repository_nothing_is_committed(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    git(tmp_path, "init", "--quiet")
    assert make(tmp_path).git == "inside"
    assert not (tmp_path / "project/.git").exists()
    assert git(tmp_path, "diff", "--cached", "--name-only") == ""
    ran = dvc(tmp_path / "project", "repro", "validate")
    assert ran.returncode == 0, ran.stderr


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def dvc(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env={**os.environ, "PATH": path, "CNNPIPE_STATE": str(project / ".cnnpipe")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("there", ["file", "folder with a file", "file in its place"])
def test_a_folder_that_is_taken_is_not_touched(tmp_path: Path, there: str) -> None:
    make_project(tmp_path / "mine")
    project = tmp_path / "project"
    if there == "file in its place":
        project.write_text("mine")
    else:
        project.mkdir()
        (project / "notes.txt").write_text("mine")
    before = state_of(tmp_path)
    with pytest.raises(ParamsError, match="exists and is not empty"):
        make(tmp_path)
    assert state_of(tmp_path) == before


def test_an_empty_folder_becomes_the_project(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "project").mkdir()
    assert make(tmp_path).replaced_empty
    assert (tmp_path / "project/params.yaml").is_file()


def test_a_project_among_the_pictures_is_refused(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    with pytest.raises(ParamsError, match="lies in the folder of the pictures"):
        make(tmp_path, directory=tmp_path / "mine/project")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param('{"a": ', "the file ends too early", id="cut off"),
        pytest.param("filename,file_size,", "does not name the columns of VIA's CSV", id="CSV"),
        pytest.param('{"images": [], "annotations": []}', "names no picture at all", id="COCO"),
        pytest.param('{"region": {}, "file": {}}', "names no picture at all", id="attributes"),
        pytest.param("https://example.org/a.png\n", "of 1 pictures named, 0 can be used", id="addresses"),
        pytest.param("{}", "names no picture at all", id="no entry"),
        pytest.param("", "is empty", id="empty"),
    ],
)
def test_what_is_no_annotation_file_is_refused(tmp_path: Path, content: str, told: str) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "mine/via_project.json").write_text(content)
    with pytest.raises(DataError, match=told):
        make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    with pytest.raises(DataError, match=r"gone\.json: cannot be read: No such file"):
        make(tmp_path, tmp_path / "gone.json")
    with pytest.raises(DataError, match=r"elsewhere: no such folder"):
        make(tmp_path, images=tmp_path / "elsewhere")


def test_an_attribute_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    with pytest.raises(DataError) as caught:
        make(tmp_path, label="clas")
    assert caught.value.what == "no region has a value of 'clas'"
    assert caught.value.fix == (
        "did you mean 'class'? name it with --label; "
        "there are region attributes: class (18 values, 3 distinct)"
    )
    with pytest.raises(DataError, match=r"scene \(12 values, 2 distinct\)"):
        make(tmp_path, label="clas", task="classify")
    with pytest.raises(DataError, match="no region has a value of 'scene'"):
        make(tmp_path, label="scene")  # a file attribute holds no boxes


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_data_without_a_class_is_refused(tmp_path: Path, task: str) -> None:
    (tmp_path / "mine").mkdir()
    for name in "abcd":
        noise_picture(ord(name)).save(tmp_path / f"mine/{name}.png")
    write_via(tmp_path / "mine/via_project.json", [entry(f"{name}.png", rect(1, 1, 9, 9)) for name in "abcd"])
    with pytest.raises(DataError, match="no attribute holds a class"):
        make(tmp_path, task=task)
    outside = [entry(f"{name}.png", rect(99, 99, 9, 9, **{"class": "a"})) for name in "abcd"]
    write_via(tmp_path / "mine/via_project.json", outside)
    with pytest.raises(DataError, match=r"no object with a class is left; box-outside: 4, first a\.png"):
        make(tmp_path, task=task)


def test_one_class_is_enough_for_a_detector_only(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in "abcd":
        noise_picture(ord(name)).save(tmp_path / f"mine/{name}.png")
    of_one = [entry(f"{name}.png", rect(1, 1, 9, 9, **{"class": "ant"})) for name in "abcd"]
    write_via(tmp_path / "mine/via_project.json", of_one)
    with pytest.raises(DataError, match=r"the only class is 'ant'(.|\n)*--task detect is content with one"):
        make(tmp_path, task="classify")
    assert (make(tmp_path, task="detect").directory / "params.yaml").exists()


def test_pictures_that_are_not_found_are_refused(tmp_path: Path) -> None:
    mine = make_project(tmp_path / "mine", num_pictures=10)
    for image_id in mine.image_ids[:6]:
        (tmp_path / "mine" / image_id).unlink()
    with pytest.raises(
        DataError, match=r"of 10 pictures named, 4 can be used; picture-missing: 6, first .*0000"
    ):
        make(tmp_path)
    noise_picture(0).save(tmp_path / "mine" / mine.image_ids[0])
    made = make(tmp_path)
    assert made.unusual["validate.limits.picture-missing"].value == "0.50"


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    make_project(tmp_path / "mine", num_pictures=2)
    with pytest.raises(DataError, match="2 pictures are too few"):
        make(tmp_path)


def test_whole_pictures_are_classified_where_only_they_have_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    entries = []
    for number in range(9):
        noise_picture(number).save(tmp_path / f"mine/{number}.png")
        scene = "day" if number % 2 else "night"
        entries.append(entry(f"{number}.png", rect(1, 1, 9, 9), scene=scene, cnnpipe_review="checked"))
    write_via(tmp_path / "mine/via_project.json", entries)
    made = make(tmp_path, task="classify")
    assert (made.survey.label.attribute, made.survey.label.source) == ("scene", "pictures")
    document = params_of(tmp_path / "project")
    assert document.augment.classify is not None
    assert document.augment.classify.source == "pictures"
    assert document.validate_.image_label_attribute == "scene"
    assert len(run_data_stages(tmp_path / "project", monkeypatch)) == 9


def test_a_file_attribute_can_be_asked_for(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    made = make(tmp_path, task="classify", label="scene")
    assert (made.survey.label.source, made.survey.label.why) == ("pictures", "named by --label")


def numbered(tmp_path: Path, *bare: str) -> None:
    """Annotate 4 pictures with the options 0 and 1 of a radio, and name those of `bare` without regions."""
    (tmp_path / "mine").mkdir()
    entries = [entry(f"{n}.png", rect(1, 1, 9, 9, **{"class": str(n % 2)})) for n in range(4)]
    entries += [entry(name) for name in bare]
    for number, each in enumerate(entries):
        noise_picture(number).save(tmp_path / "mine" / each["filename"])
    write_via(tmp_path / "mine/via_project.json", entries)
    value = json.loads((tmp_path / "mine/via_project.json").read_text())
    declared = {"type": "radio", "options": {"0": "hen", "1": "fox"}, "default_options": {}}
    value["_via_attributes"] = {"region": {"class": declared}, "file": {}}
    (tmp_path / "mine/via_project.json").write_text(json.dumps(value))


def test_numbers_that_have_names_are_told(tmp_path: Path) -> None:
    numbered(tmp_path)
    made = make(tmp_path)
    assert {each.label for each in made.survey.objects} == {"0", "1"}
    assert made.survey.described == {"0": "hen", "1": "fox"}
    assert params_of(tmp_path / "project").validate_.label_text == "id"


def test_the_numbers_that_via_3_gives_its_options_are_no_classes(tmp_path: Path) -> None:
    numbered(tmp_path)
    via_2, via_3 = tmp_path / "mine/via_project.json", tmp_path / "mine/via_3.json"
    convert(read_via(via_2, where="via_project.json"), via_3, "via3-project", ConvertOptions())
    made = make(tmp_path, via_3)
    assert {each.label for each in made.survey.objects} == {"hen", "fox"}
    assert params_of(tmp_path / "project").validate_.label_text == "description"


def test_names_of_options_and_a_map_of_spellings_go_into_the_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(tmp_path)
    (tmp_path / "map.yaml").write_text("hen: fowl\n7: null\n")
    made = make(tmp_path, labels=tmp_path / "map.yaml", label_text="description")
    assert {each.label for each in made.survey.objects} == {"fowl", "fox"}
    assert made.survey.described == {}
    gate = params_of(tmp_path / "project").validate_
    assert (gate.label_text, gate.label_map) == ("description", {"hen": "fowl", "7": None})
    run_data_stages(tmp_path / "project", monkeypatch)
    objects = read_jsonl(Path("data/validated/objects.jsonl"), LabelledObject)
    assert [each.label for each in objects] == ["fowl", "fox", "fowl", "fox"]


@pytest.mark.parametrize("text", ["", "- a", "a: [b]", "a: ' '", "a: b: c"])
def test_a_map_that_is_none_stops_before_anything_is_made(tmp_path: Path, text: str) -> None:
    numbered(tmp_path)
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(DataError, match=r"map\.yaml"):
        make(tmp_path, labels=tmp_path / "map.yaml")
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("num_bare", "wanted", "expected"),
    [
        (4, None, "negative"),
        (5, None, "unannotated"),
        (5, "negative", "negative"),
        (1, "unannotated", "unannotated"),
    ],
)
def test_what_pictures_without_regions_mean_follows_from_their_number_or_is_said(
    tmp_path: Path, num_bare: int, wanted: str | None, expected: str
) -> None:
    numbered(tmp_path, *(f"bare{n}.png" for n in range(num_bare)))
    made = make(tmp_path, without_regions=wanted)
    assert params_of(tmp_path / "project").validate_.without_regions == expected
    assert made.survey.bare_why.startswith(f"{num_bare} of {4 + num_bare} pictures have no region")
    assert sum(picture.is_pending for picture in made.survey.pictures) == (
        num_bare if expected == "unannotated" else 0
    )
    assert ("validate.without_regions" in made.unusual) == (expected == "unannotated")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path / "mine")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made: Not a directory"):
        make(tmp_path, directory=tmp_path / "file/project")


def test_a_place_that_may_not_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path / "mine")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for step in ("exists", "mkdir"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, step, refuse)
            with pytest.raises(StorageError, match="project: cannot be made: Permission denied"):
                make(tmp_path)


def test_a_folder_that_only_looks_like_a_leftover_stays(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "project.part").mkdir()
    (tmp_path / "project.part/thesis.txt").write_text("mine")
    with pytest.raises(ParamsError, match="was not left by cnnpipe"):
        make(tmp_path)
    assert (tmp_path / "project.part/thesis.txt").read_text() == "mine"


def test_two_at_once_make_one(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    mark = tmp_path / "project.part/.cnnpipe/init.lock"
    mark.parent.mkdir(parents=True)
    with mark.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="is being made by another process"):
            make(tmp_path)
    (tmp_path / "project.part/data").mkdir()  # as a killed run leaves it
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "project"]
    assert not (tmp_path / "project/.cnnpipe/init.lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing_that_the_next_does_not_clean(
    tmp_path: Path, end: signal.Signals
) -> None:
    make_project(tmp_path / "mine")
    via = tmp_path / "mine/via_project.json"
    # a reader that waits in the middle: git as a program that sleeps
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f"#!/bin/sh\ntouch '{tmp_path}/bin/started'\nexec sleep 30\n")
    (tmp_path / "bin/git").chmod(0o755)
    # where the tests run in the background of a script, Ctrl-C is ignored, and children inherit that
    python = ["env", "--default-signal=INT", sys.executable]
    command = [*python, "-m", "cnnpipe", "init", str(tmp_path / "project"), "--annotations", str(via)]
    child = subprocess.Popen(
        [*command, "--images", str(tmp_path / "mine"), "--task", "detect"],
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        waited = time.monotonic() + 60
        # not before git is a program of its own: until then it holds init's lock, too
        while not (tmp_path / "bin/started").exists() and time.monotonic() < waited:
            time.sleep(0.05)
        assert (tmp_path / "project.part/params.yaml").exists()
        os.killpg(child.pid, end) if end == signal.SIGINT else child.send_signal(end)
        code = child.wait(30)
    finally:
        os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
    assert code == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[end]
    assert not (tmp_path / "project").exists()
    assert (tmp_path / "project.part").exists() == (end == signal.SIGKILL)
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "mine", "project"]


def test_params_are_whole_and_readable_for_programs(tmp_path: Path) -> None:
    make_project(tmp_path / "mine", splits=("train", "val", "test"))
    make(tmp_path)
    document = params_of(tmp_path / "project")
    assert document.split.given == "folder"
    assert document.sample is None
    assert json.loads((tmp_path / "project/data/raw/images/via_project.json").read_text())


def test_a_git_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "gitconfig").write_text("[user\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    with pytest.raises(CnnpipeError, match="bad config line"):
        make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gitconfig", "mine"]


def test_a_default_names_the_class_of_regions_that_say_none(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    entries = [entry(f"{n}.png", rect(1, 1, 9, 9)) for n in range(4)]
    for number, each in enumerate(entries):
        noise_picture(number).save(tmp_path / "mine" / each["filename"])
    write_via(tmp_path / "mine/via_project.json", entries)
    with pytest.raises(DataError, match="--default-label"):
        make(tmp_path)
    made = make(tmp_path, default_label="car")
    assert {each.label for each in made.survey.objects} == {"car"}
    gate = params_of(tmp_path / "project").validate_
    assert (gate.label_attribute, gate.default_label) == ("class", "car")
