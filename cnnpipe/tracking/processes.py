"""Which process keeps a run open, and whether it is still there."""

import os
import socket
from collections.abc import Mapping

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

HOST = "cnnpipe.host"
PID = "cnnpipe.pid"
STARTED = "cnnpipe.process_started"

# A clock that is set right moves the start time that the system tells; no pid returns within 10 s of it.
_SAME_START_S = 10.0


def own_tags() -> dict[str, str]:
    """Return the tags that name this process."""
    process = psutil.Process()
    return {HOST: socket.gethostname(), PID: str(os.getpid()), STARTED: f"{process.create_time():.2f}"}


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that the tags name has ended. One on another host is taken to be alive."""
    if tags.get(HOST) != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(tags[PID]))
        same = abs(process.create_time() - float(tags[STARTED])) < _SAME_START_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return False
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return True
