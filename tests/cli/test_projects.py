"""`init` and `update` as a user meets them: what they print, their exit codes, their words."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from synthetic import entry, make_project, rect, write_via


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")


def cnnpipe(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnpipe", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def init(folder: Path, project: str = "my project", *more: str) -> subprocess.CompletedProcess[str]:
    data = ("--annotations", "mine/via_project.json", "--images", "mine")
    return cnnpipe(folder, "init", project, *data, "--task", "detect", *more)


def test_init_then_update(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    made = init(tmp_path)
    assert (made.returncode, made.stdout.splitlines()) == (
        0,
        [
            f"project: {tmp_path / 'my project'}",
            "data:    12 pictures, 18 objects of 3 classes",
            "classes: circle 6, square 6, triangle 6",
            "note:    git knows no identity of yours: the first commit is by cnnpipe <cnnpipe@localhost>",
            "next:    cd 'my project' && cnnpipe repro",
        ],
    )
    assert "the class is 'class' (the only attribute with values)" in made.stderr
    newer = json.loads((tmp_path / "mine/via_project.json").read_text())["_via_img_metadata"]
    newer["more"] = entry("images/picture_0000.png", rect(1, 20, 9, 9, **{"class": "circle"}))
    write_via(tmp_path / "newer.json", newer)
    shown = cnnpipe(tmp_path / "my project", "update", "--annotations", "../newer.json", "--dry-run")
    assert (shown.returncode, shown.stderr, shown.stdout.splitlines()) == (
        0,
        "",
        [
            "../newer.json replaces images/via_project.json",
            "  images/images/picture_0000.png: 1 added",
            "pictures: 1 changed, 11 same",
            "regions: 1 added",
        ],
    )
    taken = cnnpipe(tmp_path / "my project", "update", "--annotations", "../newer.json", "--json")
    assert (taken.returncode, taken.stderr) == (0, "next: cnnpipe repro\n")
    value = json.loads(taken.stdout)
    assert value["pinned"] == {}
    [file] = value["files"]
    assert file["replaces"] == file["target"] == "images/via_project.json"
    assert file["totals"]["regions"] == {
        "added": 1,
        "removed": 0,
        "moved": 0,
        "relabelled": 0,
        "renumbered": 0,
    }
    assert file["pictures"] == [
        {
            "image_id": "images/images/picture_0000.png",
            "state": "changed",
            "regions": {"added": 1, "removed": 0, "moved": 0, "relabelled": 0, "renumbered": 0},
            "relabelled": False,
            "renumbered": False,
            "unchecked": False,
        }
    ]


def test_init_says_what_the_options_would_be_called(tmp_path: Path) -> None:
    make_project(tmp_path / "mine", labels=("0", "1"))
    path = tmp_path / "mine/via_project.json"
    value = json.loads(path.read_text())
    options = {"0": "left shoe", "1": "right shoe"}
    value["_via_attributes"] = {"region": {"class": {"type": "dropdown", "options": options}}, "file": {}}
    path.write_text(json.dumps(value))
    shown = init(tmp_path)
    assert (
        "note:    the classes are numbers with descriptions (0 is left shoe, 1 is right shoe): "
        "--label-text description takes those"
    ) in shown.stdout.splitlines()
    (tmp_path / "map.yaml").write_text("right shoe: null\n")
    named = init(
        tmp_path,
        "named",
        *("--label-text", "description", "--labels", "map.yaml", "--without-regions", "unannotated"),
    )
    assert "classes: left shoe 12" in named.stdout.splitlines()
    assert "noticed: 6 label-left-out" in named.stdout.splitlines()
    assert "are numbers" not in named.stdout
    wrong = init(tmp_path, "wrong", "--labels", "gone.yaml")
    assert (wrong.returncode, wrong.stdout) == (3, "")
    assert wrong.stderr.startswith("error: gone.yaml: cannot be read: No such file or directory\n  fix: ")


def test_a_taken_folder_exits_2_and_bad_data_3(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").write_text("")
    shown = init(tmp_path, "taken")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"error: {tmp_path / 'taken'}: exists and is not empty\n  fix: ")
    shown = init(tmp_path, "new", "--label", "clas")
    assert shown.returncode == 3
    assert "did you mean 'class'?" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("task", ["detekt", ""])
def test_an_unknown_task_exits_2(tmp_path: Path, task: str) -> None:
    make_project(tmp_path / "mine")
    shown = cnnpipe(tmp_path, "init", "x", "--annotations", "a.json", "--images", "mine", "--task", task)
    assert shown.returncode == 2
    assert "classify" in shown.stderr


def test_update_outside_of_a_project_exits_2(tmp_path: Path) -> None:
    shown = cnnpipe(tmp_path, "update", "--annotations", "a.json")
    assert shown.returncode == 2
    assert "run cnnpipe in the folder of the project" in shown.stderr


def test_pictures_of_another_disk_are_copied(tmp_path: Path) -> None:
    make_project(tmp_path / "mine")
    memory = Path("/dev", "shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    with TemporaryDirectory(dir=memory) as folder:
        shown = init(tmp_path, f"{folder}/project")
        assert shown.returncode == 0, shown.stderr
        copied = Path(folder, "project/data/raw/images/images/picture_0000.png")
        original = tmp_path / "mine/images/picture_0000.png"
        assert copied.read_bytes() == original.read_bytes()
        assert original.stat().st_nlink == 1
    assert "pictures: 0 bytes linked, " in shown.stderr
