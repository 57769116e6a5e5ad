"""Locks: who holds them, and which were left behind. Nothing is removed."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from cnnpipe import paths
from cnnpipe.projects.checks import processes
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.results import Result, error, note, ok, warning

# Never .dvc/tmp/lock: the system frees that one with its process, and removing it lets two run at once.
_RWLOCK: Final = Path(".dvc/tmp/rwlock")
_REMOVE: Final = f"when no dvc runs here: rm {_RWLOCK}"


def check_dvc_locks(_facts: Facts) -> list[Result]:
    """Look into DVC's list of who reads and writes which path.

    DVC drops the entries of dead processes by itself. One whose number was given to another process blocks
    for ever.

    Source: dvc 3.67, rwlock.py.
    """
    if not _RWLOCK.exists():
        return []
    try:
        holders = dict(_holders(msgspec.json.decode(_RWLOCK.read_bytes())))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError):
        return [error("DVC's locks", f"{_RWLOCK} is damaged: every dvc command fails", _REMOVE)]
    return [_judge(pid, command) for pid, command in sorted(holders.items())]


def check_stage_locks(_facts: Facts) -> list[Result]:
    """Look which stages are at work here, and for workers that outlived theirs."""
    locks = sorted((paths.state_dir() / "locks").glob("*.lock"))
    results = [result for path in locks for result in _stage(path)]
    return results or [ok("stages", "none is at work")]


def _holders(content: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    for each in content.get("write", {}).values():
        yield int(each["pid"]), str(each["cmd"])
    for readers in content.get("read", {}).values():
        yield from ((int(each["pid"]), str(each["cmd"])) for each in readers)


def _judge(pid: int, command: str) -> Result:
    if not processes.is_running(pid):
        what = f"{_RWLOCK} names process {pid} ({command}), which is gone; DVC drops that by itself"
        return note("DVC's locks", what, f"nothing, or {_REMOVE}")
    now = processes.command_of(pid)
    if now and "dvc" not in now:
        what = f"{_RWLOCK} names process {pid} ({command}), but {pid} is now {now[:60]!r}: it blocks for ever"
        return warning("DVC's locks", what, _REMOVE)
    return note("DVC's locks", f"process {pid} ({command}) is at work", "wait for its end")


def _stage(path: Path) -> Iterable[Result]:
    holders = processes.holders(path)
    if not holders:
        return
    named = path.read_text(encoding="utf-8", errors="replace").strip()
    if named in map(str, holders):
        yield note("stages", f"{path.stem} is at work: process {named}")
        return
    pids = " ".join(map(str, holders))
    what = f"{path.stem} is locked by process {pids}, left behind by {named or 'an unknown one'}"
    yield warning("stages", what, f"look at it with `ps -fp {holders[0]}`, then kill {pids}")
