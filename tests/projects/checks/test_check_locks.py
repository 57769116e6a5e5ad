"""Locks of DVC and of stages: alive, dead, and given to another process."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnnpipe.projects.checks import locks, processes
from cnnpipe.projects.checks.facts import Facts

Start = Callable[..., "subprocess.Popen[bytes]"]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes that are ended with the test; each is its own program when the test goes on.

    Popen returns once exec has closed the pipe between both, which Linux does before it sets the new
    command line: for a moment, /proc shows none.
    """
    started: list[subprocess.Popen[bytes]] = []

    def run(*words: str, executable: str | None = None) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(words, executable=executable))
        wait_for(lambda: processes.command_of(started[-1].pid).startswith(words[0]))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def write_rwlock(folder: Path, content: str) -> Path:
    path = folder / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    return path


def held_by(pid: int) -> str:
    info = {"pid": pid, "cmd": "dvc repro"}
    return json.dumps({"write": {"/p/models": info}, "read": {"/p/data": [info, info]}})


def test_without_locks_nothing_is_said(project_dir: Path) -> None:
    assert locks.check_dvc_locks(Facts()) == []
    assert [result.state for result in locks.check_stage_locks(Facts())] == ["ok"]


def test_the_lock_of_a_dead_dvc_is_a_note_with_the_fix(project_dir: Path) -> None:
    path = write_rwlock(project_dir, held_by(dead_pid()))
    (result,) = locks.check_dvc_locks(Facts())
    assert result.state == "note"
    assert "which is gone" in result.found
    assert "rm .dvc/tmp/rwlock" in result.fix
    assert path.exists()


def test_a_number_that_another_process_got_is_a_warning(project_dir: Path, start: Start) -> None:
    write_rwlock(project_dir, held_by(start("sleep", "60").pid))
    (result,) = locks.check_dvc_locks(Facts())
    assert result.state == "warning"
    assert "'sleep 60': it blocks for ever" in result.found
    assert "rm .dvc/tmp/rwlock" in result.fix


def test_a_dvc_at_work_is_left_in_peace(project_dir: Path, start: Start) -> None:
    write_rwlock(project_dir, held_by(start("/venv/bin/dvc", "60", executable="sleep").pid))
    (result,) = locks.check_dvc_locks(Facts())
    assert (result.state, result.fix) == ("note", "wait for its end")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"write": {"/p": {"cmd": "x"}}}', '{"read": {"/p": [7]}}']
)
def test_a_damaged_rwlock_is_an_error(content: str, project_dir: Path) -> None:
    write_rwlock(project_dir, content)
    (result,) = locks.check_dvc_locks(Facts())
    assert result.state == "error"
    assert "rm .dvc/tmp/rwlock" in result.fix


HOLD = """
import os, sys, time
from pathlib import Path
Path(sys.argv[1]).parent.mkdir(parents=True)
file = open(sys.argv[1], "w")
file.write(sys.argv[2].replace("OWN", str(os.getpid())))
file.flush()
time.sleep(60)
"""


def test_a_stage_at_work_is_named_with_its_process(project_dir: Path, start: Start) -> None:
    path = project_dir / ".cnnpipe/locks/train@lenet.lock"
    pid = start(sys.executable, "-c", HOLD, str(path), "OWN").pid
    wait_for(lambda: path.exists() and path.read_text(encoding="utf-8") == str(pid))
    (result,) = locks.check_stage_locks(Facts())
    assert (result.state, result.found) == ("note", f"train@lenet is at work: process {pid}")


def test_a_worker_that_outlived_its_stage_is_named(project_dir: Path, start: Start) -> None:
    path, dead = project_dir / ".cnnpipe/locks/train@lenet.lock", str(dead_pid())
    pid = start(sys.executable, "-c", HOLD, str(path), dead).pid
    wait_for(lambda: path.exists() and path.read_text(encoding="utf-8") == dead)
    (result,) = locks.check_stage_locks(Facts())
    assert result.state == "warning"
    assert f"process {pid}, left behind by {dead}" in result.found
    assert f"kill {pid}" in result.fix


def test_the_lock_file_of_a_stage_that_ended_says_nothing(project_dir: Path) -> None:
    (project_dir / ".cnnpipe/locks").mkdir(parents=True)
    (project_dir / ".cnnpipe/locks/split.lock").write_text(str(dead_pid()), encoding="utf-8")
    assert [result.state for result in locks.check_stage_locks(Facts())] == ["ok"]


def test_the_start_of_a_process_is_that_of_the_system(start: Start) -> None:
    before = time.time()
    process = start("sleep", "60")
    assert processes.is_running(process.pid)
    started = processes.started_at(process.pid)
    assert started is not None
    assert abs(started - before) < 5
    process.kill()
    wait_for(lambda: not processes.is_running(process.pid))  # it is a zombie now
