"""Free space and the right to write."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnpipe.projects.checks import disk
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.programs import Answer

OTHER_DISK = Path("/dev/shm")  # noqa: S108 (looked at, not written to)


@pytest.mark.parametrize(
    ("free", "state", "code"),
    [(5e9, "ok", 0), (4.9e9, "warning", 0), (0.5e9, "warning", 0), (0.4e9, "error", 7)],
)
def test_little_space_is_told_in_time(
    free: float, state: str, code: int, project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project_dir / "params.yaml").touch()
    monkeypatch.setenv("TMPDIR", str(project_dir))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    (result,) = disk.check_disks(Facts())
    assert (result.state, result.exit_code) == (state, code)
    assert "the project, checkpoints, DVC's cache, MLflow's store, temporary files" in result.found


def test_each_disk_has_a_row(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == project_dir.stat().st_dev:
        pytest.skip("needs a second file system")
    (project_dir / "params.yaml").touch()
    facts = Facts(dvc=Answer(0, f"cache.dir={OTHER_DISK}/cnnpipe-not-there/cache"))
    monkeypatch.setenv("TMPDIR", str(project_dir))
    assert [result.found.endswith("for DVC's cache") for result in disk.check_disks(facts)] == [False, True]


def test_outside_a_project_two_places_count(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(project_dir))
    (result,) = disk.check_disks(Facts())
    assert result.found.endswith("free for this folder, temporary files")


def test_a_folder_that_may_not_be_written_is_an_error(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = project_dir / "locked"
    locked.mkdir()
    monkeypatch.setenv("TMPDIR", str(locked))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked)  # root may write anywhere
    refused = [result for result in disk.check_disks(Facts()) if result.state == "error"]
    assert [(result.found, result.exit_code) for result in refused] == [
        (f"{locked} (temporary files) cannot be written", 7)
    ]
