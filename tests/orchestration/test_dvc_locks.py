"""Dead processes are taken out of DVC's list; living ones of DVC stay."""

import fcntl
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cnnpipe.orchestration.dvc_locks import forget_dead_holders, living_holders


@pytest.fixture
def rwlock(tmp_path: Path) -> Path:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    return tmp_path / ".dvc/tmp/rwlock"


def entry(pid: int) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


def test_an_ended_process_is_taken_out(tmp_path: Path, rwlock: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    rwlock.write_text(json.dumps({"write": {"/a": entry(gone.pid)}, "read": {"/b": [entry(gone.pid)]}}))
    assert living_holders(tmp_path) == {}
    assert forget_dead_holders(tmp_path) == [gone.pid]
    assert json.loads(rwlock.read_text()) == {"write": {}, "read": {}}


def test_a_number_that_is_another_program_s_now_is_taken_out(tmp_path: Path, rwlock: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        rwlock.write_text(json.dumps({"write": {"/a": entry(other.pid)}}))
        assert forget_dead_holders(tmp_path) == [other.pid]
    finally:
        other.kill()
        other.wait()


def test_a_dvc_at_work_stays(tmp_path: Path, rwlock: Path) -> None:
    dvc = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc"])
    try:
        content = {"write": {"/a": entry(dvc.pid)}, "read": {"/b": [entry(dvc.pid)]}}
        rwlock.write_text(json.dumps(content))
        assert forget_dead_holders(tmp_path) == []
        assert json.loads(rwlock.read_text()) == content
        assert living_holders(tmp_path) == {dvc.pid: "dvc repro"}
    finally:
        dvc.kill()
        dvc.wait()


@pytest.mark.parametrize("text", ["", '{"write": {"/a": {"pid"', "[]", '{"write": {"/a": 7}}'])
def test_a_half_written_list_is_removed(tmp_path: Path, rwlock: Path, text: str) -> None:
    rwlock.write_text(text)
    assert living_holders(tmp_path) == {}
    assert forget_dead_holders(tmp_path) == []
    assert not rwlock.exists()


def test_a_list_that_a_dvc_is_writing_is_waited_for(tmp_path: Path, rwlock: Path) -> None:
    rwlock.write_text("")
    with rwlock.with_name("rwlock.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        looking = threading.Thread(target=forget_dead_holders, args=[tmp_path])
        looking.start()
        looking.join(0.3)
        assert looking.is_alive()
        rwlock.write_text("{}")
    looking.join()
    assert rwlock.read_text() == "{}"


def test_no_list_is_no_fault(tmp_path: Path) -> None:
    assert forget_dead_holders(tmp_path) == []
    assert living_holders(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
