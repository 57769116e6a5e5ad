"""The processes a flow has started: each a group of its own, all of them ended together.

A handler that only ends what runs now is not enough: the next queued stage would start while the flow stops.
So the stop flag and the start of a process are under one lock.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from cnnpipe.errors import CnnpipeError

_POLL_S: Final = 0.1


class StoppedError(CnnpipeError):
    """The flow is stopping: nothing is started any more."""

    exit_code = 143


class Children:
    """Starts processes from any number of threads, and ends them and all that they have started."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_stopping = False
        self._groups: set[int] = set()

    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopping

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        pass_fds: Sequence[int] = (),
    ) -> int:
        """Run a command to its end and return its exit code, negative for a signal.

        Args:
            command: program and arguments; no shell sees them.
            cwd: where it works.
            environment: all of its environment.
            on_line: told each line of its output, stdout and stderr as one, as it comes.
            pass_fds: open files that it keeps open, e.g. a lock.

        Raises:
            StoppedError: `stop` was called before.
        """
        with self._guard:
            if self._is_stopping:
                raise StoppedError(
                    " ".join(command[-1:]), "not started, the flow is stopping", "run it again"
                )
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                bufsize=1,
                start_new_session=True,
                pass_fds=pass_fds,
            )
            self._groups.add(process.pid)
        try:
            with process:
                for line in process.stdout or ():
                    if line.strip():
                        on_line(line.rstrip())
            return process.returncode
        finally:
            self._groups.discard(process.pid)

    def stop(self, *, grace_s: float) -> None:
        """Start nothing any more, ask every group to end, and kill what is left after `grace_s` seconds.

        What the first of a group has started is asked before it. A stage watches its parent, dvc, and would
        hurry if that went first: a second is too little for closing a run in an MLflow that is slow.
        """
        with self._guard:
            self._is_stopping = True
            groups = set(self._groups)
        started = {group: _started_by(group) for group in groups}
        for process in (process for processes in started.values() for process in processes):
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        deadline = time.monotonic() + grace_s
        while any(map(_is_alive, groups)) and time.monotonic() < deadline:
            _signal({group for group in groups if _have_ended(started[group])}, signal.SIGTERM)
            time.sleep(_POLL_S)
        _signal(groups, signal.SIGKILL)


def _started_by(group: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(group).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _have_ended(processes: list[psutil.Process]) -> bool:
    return all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in processes)


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
