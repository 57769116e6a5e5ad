"""DVC's list of who reads and writes which path: who is at work, and rid of processes that are gone.

DVC drops an entry whose process number is free. One whose number was given to another program blocks every
later `dvc` for ever, and so does a list that a full disk or a kill has left half written. `.dvc/tmp/lock` is
never touched: the system frees it with its process.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from cnnpipe import files

_RWLOCK: Final = Path(".dvc/tmp/rwlock")
_GUARD: Final = Path(".dvc/tmp/rwlock.lock")  # of the list, by flock: dvc has it while it reads and writes it
_DAMAGES: Final = (ValueError, KeyError, TypeError, AttributeError)  # what a half written list is met with


def forget_dead_holders(root: Path) -> list[int]:
    """Take out of DVC's list every process that is gone or is no dvc any more; return their numbers.

    A damaged list is removed. Call it where this process has started no dvc yet; others may be at work.

    Source: dvc 3.67, rwlock.py and lock.py.
    """
    path = root / _RWLOCK
    if not path.exists():
        return []
    with _guarding(root / _GUARD):
        return _forget(path)


def living_holders(root: Path) -> dict[int, str]:
    """Return the dvc processes that are at work in the project: number -> command; none of a damaged list."""
    try:
        holders = _holders(json.loads((root / _RWLOCK).read_text(encoding="utf-8")))
    except (FileNotFoundError, *_DAMAGES):
        return {}
    return {pid: command for pid, command in holders.items() if _is_dvc(pid)}


@contextmanager
def _guarding(guard: Path) -> Iterator[None]:
    """Keep every dvc from the list; where there is no guard yet, none has been at it."""
    if not guard.exists():
        yield
        return
    with guard.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # a dvc holds it for milliseconds, and goes on trying for 3 s
        yield


def _forget(path: Path) -> list[int]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        dead = {pid for pid in _holders(content) if not _is_dvc(pid)}
    except FileNotFoundError:
        return []
    except _DAMAGES:
        path.unlink()
        return []
    if dead:
        left = {
            "write": {key: one for key, one in content.get("write", {}).items() if one["pid"] not in dead},
            "read": {
                key: alive
                for key, many in content.get("read", {}).items()
                if (alive := [one for one in many if one["pid"] not in dead])
            },
        }
        files.write_json(path, left)
    return sorted(dead)


def _holders(content: Any) -> dict[int, str]:
    """Return the number of each process in the list, with its command."""
    readers = (one for many in content.get("read", {}).values() for one in many)
    return {int(each["pid"]): str(each["cmd"]) for each in (*content.get("write", {}).values(), *readers)}


def _is_dvc(pid: int) -> bool:
    try:
        return any("dvc" in word for word in psutil.Process(pid).cmdline())
    except psutil.AccessDenied:  # somebody else's: taken to be one
        return True
    except psutil.NoSuchProcess:
        return False
