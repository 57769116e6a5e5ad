"""Locks: one holder at a time, of threads and of processes, and none of a dead one."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from cnnpipe import locks
from cnnpipe.errors import BusyError, StorageError

_HOLDER = """
import sys, time
from pathlib import Path
from cnnpipe import locks
held = locks.take(Path(sys.argv[1]), "train@x of shoes")
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_taker_of_the_same_process_gets_none(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.lock"
    first = locks.take(path, "train@x")
    assert first is not None
    assert locks.take(path) is None
    first.close()
    again = locks.take(path)
    assert again is not None
    again.close()


def test_the_holder_is_told_with_what_it_does(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert locks.holder_of(path) == "an unknown process"
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert locks.take(path) is None
        assert locks.holder_of(path) == f"process {other.pid} (train@x of shoes)"
        other.kill()
        other.wait()
        freed = locks.take(path)
        assert freed is not None
        freed.close()


def test_a_text_shorter_than_the_former_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("99999999 a long note of a former holder", encoding="utf-8")
    with locks.only_one(path, where="x", does="y", fix="z"):
        assert "note" not in locks.holder_of(path)


def test_a_file_that_its_holder_removes_locks_nobody_in(tmp_path: Path) -> None:
    """Whoever opened it before must not hold a lock on a file without a name, beside that of the next."""
    path = tmp_path / "a.lock"
    with locks.only_one(path, where="x", does="y", fix="z"):
        path.unlink()
        second = locks.take(path)  # of another file
        assert second is not None
        assert locks.take(path) is None
        second.close()


def test_a_locked_file_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    flock = fcntl.flock
    calls: list[int] = []

    def remove_first(file: TextIO, flags: int) -> None:
        if not calls:
            path.unlink()  # as a holder does that ends between our open and our lock
        calls.append(flags)
        flock(file, flags)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    held = locks.take(path)
    assert held is not None
    assert len(calls) == 2
    assert locks.take(path) is None
    held.close()


def test_only_one_names_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with (
        locks.only_one(path, where="train@x", does="trains it", fix="wait", note="train@x in b"),
        pytest.raises(BusyError, match=r"train@x: process \d+ \(train@x in b\) trains it now") as caught,
        locks.only_one(path, where="train@x", does="trains it", fix="wait"),
    ):
        pass
    assert caught.value.fix == "wait"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        locks.take(tmp_path / "file" / "a.lock")
