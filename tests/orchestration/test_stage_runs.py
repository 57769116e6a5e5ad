"""One stage through a real dvc: what became of it, and its own words where it failed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from cnnpipe.errors import BusyError, CnnpipeError, DataError, StorageError
from cnnpipe.orchestration.children import Children
from cnnpipe.orchestration.flow.stage_runs import Site, push, run_stage

# a stage that leaves its end as those of cnnpipe do
_FAILS = """
import sys
from cnnpipe.cli.process import stage_process
from cnnpipe.errors import *
with stage_process("fails"):
    raise {error}
"""
_GRAPH = """
stages:
  first: {cmd: cp a b, deps: [a], outs: [b]}
  fails: {cmd: exec python fails.py, deps: [a], outs: [c]}
  silent: {cmd: echo a reason >&2; exit 3, deps: [a], outs: [d]}
"""


@pytest.fixture
def site(project_dir: Path) -> Site:
    Repo.init(str(project_dir), no_scm=True).close()
    (project_dir / "dvc.yaml").write_text(_GRAPH, encoding="utf-8")
    (project_dir / "a").write_text("1", encoding="utf-8")
    return Site(root=project_dir, children=Children())


def outcome(site: Site, stage: str) -> str:
    return run_stage(stage, site, on_line=lambda _: None).outcome


def test_a_stage_runs_is_unchanged_and_is_restored(site: Site) -> None:
    assert outcome(site, "first") == "ran"
    assert outcome(site, "first") == "unchanged"
    (site.root / "a").write_text("2", encoding="utf-8")
    assert outcome(site, "first") == "ran"
    (site.root / "a").write_text("1", encoding="utf-8")
    assert outcome(site, "first") == "restored"
    assert (site.root / "b").read_text(encoding="utf-8") == "1"


def test_from_the_remote_a_stage_is_restored_else_run(site: Site, tmp_path: Path) -> None:
    for command in (
        ["remote", "add", "--default", "store", str(tmp_path / "store")],
        ["config", "core.no_scm", "true"],
    ):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=site.root, check=True, capture_output=True
        )
    run_stage("first", site, on_line=lambda _: None)
    push([sys.executable, "-m", "dvc", "push", "--run-cache", "first"], site, on_line=lambda _: None)
    (site.root / "b").unlink()
    for name in ("cache", "tmp"):
        subprocess.run(["rm", "-rf", str(site.root / ".dvc" / name)], check=True)
    assert run_stage("first", site, on_line=lambda _: None, pull="the stage").outcome == "restored"
    (site.root / "a").write_text("9", encoding="utf-8")
    assert run_stage("first", site, on_line=lambda _: None, pull="the stage").outcome == "ran"


def test_a_failed_push_is_a_storage_error(site: Site) -> None:
    with pytest.raises(StorageError, match="remote"):
        push([sys.executable, "-m", "dvc", "push"], site, on_line=lambda _: None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DataError", DataError),
        ("BusyError", BusyError),
        ("StorageError", StorageError),
        ("CnnpipeError", CnnpipeError),
    ],
)
def test_a_failed_stage_tells_its_own_words_and_keeps_its_class(
    site: Site, name: str, kind: type[CnnpipeError]
) -> None:
    error = f"{name}('via.json', 'is cut off: 7 bytes', 'export it again')"
    (site.root / "fails.py").write_text(_FAILS.replace("{error}", error), encoding="utf-8")
    with pytest.raises(kind) as caught:
        run_stage("fails", site, on_line=lambda _: None)
    assert type(caught.value) is kind
    assert caught.value.where == "stage fails"
    assert caught.value.what == "via.json: is cut off: 7 bytes"
    assert caught.value.fix == "export it again"


def test_a_program_that_leaves_no_words_is_told_by_dvc_s(site: Site) -> None:
    said: list[str] = []
    with pytest.raises(CnnpipeError, match="failed to reproduce 'silent'"):
        run_stage("silent", site, on_line=said.append)
    assert "a reason" in said


def test_words_of_an_older_failure_are_not_taken_for_this_one_s(site: Site) -> None:
    (site.root / "fails.py").write_text(
        _FAILS.replace("{error}", "DataError('a', 'old', 'c')"), encoding="utf-8"
    )
    with pytest.raises(DataError):
        run_stage("fails", site, on_line=lambda _: None)
    (site.root / "fails.py").write_text("raise SystemExit(9)", encoding="utf-8")
    with pytest.raises(CnnpipeError) as caught:
        run_stage("fails", site, on_line=lambda _: None)
    assert "old" not in caught.value.what


def test_a_stage_that_could_not_write_down_its_end_is_told_by_its_last_words(site: Site) -> None:
    said = "print('error: the disk of x: No space left on device'); print('  fix: free some space')"
    code = f"import sys; {said}; sys.exit(7)"
    (site.root / "fails.py").write_text(code, encoding="utf-8")
    with pytest.raises(StorageError) as caught:
        run_stage("fails", site, on_line=lambda _: None)
    assert caught.value.what == "the disk of x: No space left on device"
    assert caught.value.fix == "free some space"


def test_files_that_another_dvc_has_are_busy(site: Site) -> None:
    holder = {"pid": os.getpid(), "cmd": "dvc repro"}
    rwlock = {"write": {str(site.root / "b"): holder}, "read": {}}
    (site.root / ".dvc/tmp").mkdir(exist_ok=True)
    (site.root / ".dvc/tmp/rwlock").write_text(json.dumps(rwlock), encoding="utf-8")
    with pytest.raises(BusyError, match=rf"another dvc has its files: \(PID {os.getpid()}\): dvc repro"):
        run_stage("first", site, on_line=lambda _: None)
