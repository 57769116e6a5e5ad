"""The processors this process may use."""

import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")


def usable_processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0))


def processor_quota() -> float | None:
    """Return the processors' worth of time that the control group may use, or None without a limit.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, cpu.max.
    """
    try:
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
