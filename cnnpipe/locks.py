"""Locks between processes: files that the kernel frees when their holder ends, by kill -9, too.

A lock is flock's, not the file's being there, so none is ever stale. The text in the file tells who holds it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cnnpipe.errors import BusyError, StorageError


def take(path: Path, note: str = "") -> TextIO | None:
    """Return the open file that holds the lock at `path`, or None where another holds it.

    Closing the file frees the lock, unless a child was given it (`pass_fds`) and still lives. Threads exclude
    each other as processes do, for each call opens the file anew.

    Args:
        path: file of the lock; it and its folder are made when missing.
        note: what the holder does, for those who wait.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
            if not _locked(file):
                file.close()
                return None
            if _is_at(path, file):
                file.truncate(0)
                file.write(f"{os.getpid()} {note}".strip())
                file.flush()
                return file
            file.close()  # its holder has removed it meanwhile: another file has that name, or none
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise StorageError(str(path), what, "free some space, or get the right to write there") from error


def holder_of(path: Path) -> str:
    """Return who locked the file last, e.g. "process 123 (train@lenet)"; it may have let go of it."""
    try:
        pid, _, note = path.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
    except FileNotFoundError:
        pid, note = "", ""
    if not pid:
        return "an unknown process"  # it has locked the file and not yet written to it
    return f"process {pid} ({note})" if note else f"process {pid}"


@contextmanager
def only_one(path: Path, *, where: str, does: str, fix: str, note: str = "") -> Iterator[None]:
    """Run the block as the only one that holds the lock at `path`.

    Args:
        path: file of the lock.
        where: what the lock is of, for the error.
        does: what its holder does, e.g. "runs it".
        fix: what to do about it.
        note: as `take` has it.

    Raises:
        BusyError: another holds it now, and is named.
        StorageError: the file cannot be written.
    """
    file = take(path, note)
    if file is None:
        raise BusyError(where, f"{holder_of(path)} {does} now", fix)
    with file:
        yield


def _locked(file: TextIO) -> bool:
    """Lock the file; return False where another has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """Run the block as the only one that holds the lock at `path`, after waiting for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file.fileno()))
