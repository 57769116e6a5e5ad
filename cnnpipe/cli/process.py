"""The process of a stage: one at a time, never without its parent, its end written down.

`dvc repro` turns every failure into exit 255, and a killed dvc leaves its stage alive (DESIGN: traps). So a
stage holds a lock, watches the process that started it, and leaves its exit code in a file.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from cnnpipe import files, locks, paths
from cnnpipe.errors import CnnpipeError
from cnnpipe.stage_ends import StageEnd, end_file

_POLL_S: Final = 0.25
_GRACE_S: Final = 1.25  # from SIGTERM to the hard end: together below the 2 s a stage may outlive its parent


@contextmanager
def stage_process(stage: str) -> Iterator[None]:
    """Run the block as the only process of `stage` in this project.

    Raises:
        BusyError: another process runs this stage now.
    """
    with _lock(stage):
        end_with_parents()
        started = time.time()
        code, error = 1, None
        try:
            yield
            code = 0
        except CnnpipeError as caught:
            code, error = caught.exit_code, f"{type(caught).__name__}: {caught}"
            raise
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
            raise
        except SystemExit as caught:
            code = caught.code if isinstance(caught.code, int) else 1
            raise
        finally:
            now = time.time()
            end = StageEnd(stage=stage, exit_code=code, error=error, seconds=now - started, ended_at=now)
            files.write_json(end_file(stage), end)


def end_with_parents() -> None:
    """End this process when one that it must not outlive ends: dvc, and who is named in CNNPIPE_WATCH_PID."""
    _end_with(_watched_pids())


def _lock(stage: str) -> AbstractContextManager[None]:
    path = paths.state_dir() / "locks" / f"{stage}.lock"
    fix = "wait for its end, or stop that process"
    return locks.only_one(path, where=f"stage {stage}", does="runs it", fix=fix)


def _watched_pids() -> list[int]:
    """Return the processes this one must not outlive: dvc when it is the parent, and who is named."""
    watched = [os.getppid()] if "DVC_STAGE" in os.environ else []
    named = os.environ.get("CNNPIPE_WATCH_PID", "")
    return [*watched, int(named)] if named.isdigit() else watched


def _end_with(pids: list[int]) -> None:
    if pids:
        threading.Thread(target=_watch, args=(pids, os.getppid()), name="parent-watch", daemon=True).start()


def _watch(pids: list[int], parent: int) -> None:
    while all(_is_alive(pid) for pid in pids) and (parent not in pids or os.getppid() == parent):
        time.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    for child in multiprocessing.active_children():  # loader workers would notice only after seconds
        child.kill()
    os._exit(128 + signal.SIGTERM)


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return not Path("/proc/self").exists() and _answers(pid)
    except ProcessLookupError:
        return False


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
