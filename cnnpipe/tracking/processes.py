"""Which process keeps a run open, and whether it is still there."""

import os
import socket
import time
from collections.abc import Mapping
from typing import Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

HOST = "cnnpipe.host"
PID = "cnnpipe.pid"
STARTED = "cnnpipe.process_started"
ALIVE: Final = "cnnpipe.alive_at"  # seconds since 1970; written anew every `BEAT_S` while the run is fed
BEAT_S: Final = 60.0
# A host whose process says nothing for so long is gone, or cut off. Above what clocks differ by.
_SILENT_S: Final = 900.0

# A clock that is set right moves the start time that the system tells; no pid returns within 10 s of it.
_SAME_START_S = 10.0


def own_tags() -> dict[str, str]:
    """Return the tags that name this process."""
    process = psutil.Process()
    return {
        HOST: socket.gethostname(),
        PID: str(os.getpid()),
        STARTED: f"{process.create_time():.2f}",
        ALIVE: beat(),
    }


def beat() -> str:
    """Return the value of `ALIVE` for this moment."""
    return f"{time.time():.0f}"


def is_own(tags: Mapping[str, str]) -> bool:
    """Whether the tags name this very process."""
    own = own_tags()
    return all(tags.get(name) == own[name] for name in (HOST, PID, STARTED))


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that the tags name has ended.

    One on another host, of which nothing else can be known, is taken to be alive until it has said nothing
    for a quarter of an hour.
    """
    if tags.get(HOST) != socket.gethostname():
        return _is_silent(tags)
    try:
        process = psutil.Process(int(tags[PID]))
        same = abs(process.create_time() - float(tags[STARTED])) < _SAME_START_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return False
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return True


def _is_silent(tags: Mapping[str, str]) -> bool:
    try:
        return time.time() - float(tags[ALIVE]) > _SILENT_S
    except (KeyError, ValueError):
        return False
