"""Processes of this machine, as Linux tells of them below /proc."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def started_at(pid: int) -> float | None:
    """Return when a process was started, in seconds since 1970, or None where there is none.

    Source: proc_pid_stat(5), field 22, in clock ticks since the start of the machine; proc_stat(5), btime.
    """
    fields = _stat(pid)
    if not fields:
        return None
    lines = (_PROC / "stat").read_text(encoding="utf-8").splitlines()
    boot = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def command_of(pid: int) -> str:
    """Return the words a process was started with, or "" where there is none or they may not be read."""
    try:
        return (
            (_PROC / str(pid) / "cmdline")
            .read_text(encoding="utf-8", errors="replace")
            .replace("\0", " ")
            .strip()
        )
    except OSError:
        return ""


def holders(path: Path) -> list[int]:
    """Return the processes that have a file open, as far as this user may see."""
    wanted = str(path.resolve())
    pids = (int(each.name) for each in _PROC.iterdir() if each.name.isdigit())
    return sorted(pid for pid in pids if wanted in _open_files(pid))


def _open_files(pid: int) -> Iterator[str]:
    try:
        for link in (_PROC / str(pid) / "fd").iterdir():
            yield str(link.readlink())
    except OSError:  # it has ended, or is another user's
        return


def _stat(pid: int) -> list[str]:
    """Return the fields from the third on: the second, a name, may hold blanks and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
