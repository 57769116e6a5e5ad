"""The plan says beforehand what `dvc repro` does afterwards: real DVC projects of small stages."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo
from plan_projects import faults_of, make_plan_project, replace_in, reproduced, verdicts

from cnnpipe.errors import CnnpipeError, ParamsError
from cnnpipe.orchestration.planning.plan import plan

ROOT = Path(__file__).resolve().parents[2]


Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "finished"
    make_plan_project(folder)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a copy of that project."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def _param(old: str, new: str) -> Change:
    return lambda folder: replace_in(folder / "params.yaml", old, new)


def _write(path: str, text: str) -> Change:
    return lambda folder: (folder / path).write_text(text, encoding="utf-8")


def _remove(*paths: str) -> Change:
    def change(folder: Path) -> None:
        for path in paths:
            shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink()

    return change


def _all_outputs(folder: Path) -> None:
    _remove("data", "models", "results", "comparison", "look", "note.txt")(folder)


def _and(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def _command(folder: Path) -> None:
    replace_in(folder / "dvc.yaml", "cp data/packed/a look", "cat data/packed/a > look")


def _executable(folder: Path) -> None:
    (folder / "data/packed/a").chmod(0o755)


_TRAIN_P = "train@p judge@p compare"
_ALL = f"prepare {_TRAIN_P} train@q judge@q look"
_OBJECTS = ".dvc/cache/files"
_RUNS = ".dvc/cache/runs"
_CASES: dict[str, tuple[Change, str]] = {
    "nothing": (lambda _: None, ""),
    "a param": (_param("rate: 0.5", "rate: 0.25"), _TRAIN_P),
    "a param of the run cache": (_param("n: 1", "n: 7"), ""),
    "a param of the run cache, its objects gone": (
        _and(_param("n: 1", "n: 7"), _remove(_OBJECTS)),
        _ALL,
    ),
    "a picture added": (_write("raw/d.txt", "d\n"), _ALL),
    "a picture removed": (_remove("raw/b.txt"), _ALL),
    "a picture changed": (_write("raw/a.txt", "z\n"), _ALL),
    "an output missing": (_remove("models/p/log"), ""),
    "an output edited": (_write("models/p/log", "mine"), ""),
    "an output with other rights": (_executable, ""),
    "a folder of outputs missing": (_remove("models", "results/q"), ""),
    "every output missing": (_all_outputs, ""),
    "every output missing, another param of the run cache": (_and(_all_outputs, _param("n: 1", "n: 7")), ""),
    "the cache gone": (_remove(".dvc/cache"), _ALL),
    "the objects of the cache gone": (_remove(_OBJECTS), _ALL),
    "the runs of the cache gone": (_remove(_RUNS), ""),
    "outputs and cache gone": (_and(_all_outputs, _remove(".dvc/cache")), _ALL),
    "the lock gone": (_remove("dvc.lock"), ""),
    "the lock and the runs gone": (_remove("dvc.lock", _RUNS), _ALL),
    "the command": (_command, "look"),
    "an experiment more": (_param("  q: {n: 2}", "  q: {n: 2}\n  r: {n: 3}"), "train@r judge@r compare"),
    "an experiment less": (_and(_param("  q: {n: 2}\n", ""), _remove("models/q", "results/q")), "compare"),
    "an experiment less, its files left": (_param("  q: {n: 2}\n", ""), ""),
    "a stranger in a folder": (_write("models/notes.txt", "mine"), "compare"),
}


@pytest.mark.parametrize("name", _CASES)
def test_what_was_planned_is_what_dvc_does(
    name: str, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change, to_run = _CASES[name]
    change(project)
    planned = plan(project)
    assert faults_of(planned, reproduced(caplog)) == []
    assert {each.stage for each in planned if each.verdict == "to run"} == {"note", *to_run.split()}


def test_targets_are_planned_with_what_they_need(project: Path) -> None:
    assert verdicts(plan(project, targets=["judge@q"])) == dict.fromkeys(
        ["prepare", "train@q", "judge@q"], "unchanged"
    )
    assert list(verdicts(plan(project, targets=["train", "note"]))) == [
        "note",
        "prepare",
        "train@p",
        "train@q",
    ]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("train@pp", "did you mean 'train@p'"),
        ("compar", "did you mean 'compare'"),
        ("zzz", "the stages are: note"),
    ],
)
def test_unknown_target_is_named(target: str, hint: str, project: Path) -> None:
    with pytest.raises(ParamsError, match=hint):
        plan(project, targets=["look", target])


def test_planning_changes_nothing(project: Path) -> None:
    def files() -> dict[Path, int]:
        own = (project / ".dvc/tmp", project / ".cnnpipe")
        found = [path for path in project.rglob("*") if path.is_file() and not set(own) & set(path.parents)]
        return {path: path.stat().st_mtime_ns for path in found}

    _and(_param("n: 1", "n: 7"), _remove("models"))(project)
    before = files()
    plan(project)
    assert files() == before


def test_run_under_way_is_no_hindrance(project: Path) -> None:
    with Repo(".") as repo, repo.lock:
        assert verdicts(plan(project))["compare"] == "unchanged"


def test_lock_file_that_is_being_written_is_read_again(project: Path) -> None:
    whole = (project / "dvc.lock").read_bytes()

    def write_in_pieces() -> None:
        with (project / "dvc.lock").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 8):
                file.write(whole[start : start + len(whole) // 8])
                file.flush()
                time.sleep(0.1)

    (project / "dvc.lock").write_bytes(b"")
    writer = threading.Thread(target=write_in_pieces)
    writer.start()
    try:
        planned = plan(project)
    finally:
        writer.join()
    assert verdicts(planned) == verdicts(plan(project))
    assert verdicts(planned)["compare"] == "unchanged"


@pytest.mark.parametrize("text", ["stages: [", "stages: {a: {cmd: x, deps: [b], outs: [b]}}"])
def test_broken_graph_is_no_traceback(text: str, project: Path) -> None:
    shutil.copyfile(ROOT / "params.yaml", project / "params.yaml")
    (project / "dvc.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(CnnpipeError, match=r"dvc\.yaml"):
        plan(project)


def test_folder_without_a_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="run cnnpipe in the folder of the project"):
        plan(tmp_path)
