"""The processes of a fault: started with all they say in a file, found by folder or mark, waited for."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MARK: Final = "CNNPIPE_FAULT"  # names the fault in the environment of all that it starts
WITHIN_S: Final = 420.0  # in which anything awaited must have happened on a busy machine
_EPOCH: Final = re.compile(r"epoch (\d+)/\d+  loss")


class Process:
    """A command that was started, with all it says in a file.

    Args:
        popen: the process, first of a group of its own.
        log: the file.
    """

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.popen = popen
        self.log = log
        self.began = time.monotonic()

    @property
    def said(self) -> str:
        """What it said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def epoch(self) -> int:
        """The last epoch that it told of; 0: none."""
        return max((int(number) for number in _EPOCH.findall(self.said)), default=0)

    def until_epoch(self, number: int) -> None:
        """Wait until a training has come so far."""
        self.until(lambda: self.epoch >= number, f"epoch {number}")

    def until_said(self, pattern: str) -> None:
        """Wait until it has said something."""
        self.until(lambda: re.search(pattern, self.said) is not None, repr(pattern))

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for something that needs this process."""
        until(lambda: is_so() or self.popen.poll() is not None, what)
        if not is_so():
            raise RuntimeError(f"ended with {self.popen.returncode} before {what}: {self.said[-3000:]}")

    def end(self, within_s: float = WITHIN_S) -> int:
        """Wait for its end and return its exit code; a shell would say 128 + n for signal n."""
        code = self.popen.wait(within_s)
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self.popen.send_signal(number)


def start(command: Sequence[str], *, cwd: Path, environment: dict[str, str], log: Path) -> Process:
    """Start a command, first of a session of its own, as a terminal does."""
    with log.open("ab") as file:
        popen = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(popen, log)


def until(is_so: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> float:
    """Wait until something is so; return the seconds it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > within_s:
            raise TimeoutError(f"no {what} within {within_s:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


def processes(folder: Path, mark: str | None = None) -> list[tuple[int, str]]:
    """Return id and words of every process whose working folder is below `folder`, or that has the mark."""
    found = ((pid, _words(pid)) for pid in _pids() if _is_below(pid, folder) or _has_mark(pid, mark))
    return [(pid, words) for pid, words in found if words and pid != os.getpid()]


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Hold processes, as Ctrl-Z does."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _is_below(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder.resolve())
    except OSError:
        return False


def _has_mark(pid: int, mark: str | None) -> bool:
    try:
        return mark is not None and f"{MARK}={mark}".encode() in Path(
            f"/proc/{pid}/environ"
        ).read_bytes().split(b"\0")
    except OSError:
        return False


def _words(pid: int) -> str:
    """Return what a process was started with; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def below(pid: int) -> list[int]:
    """Return all processes that a process has started, and they in turn."""
    parents = {child: _parent(child) for child in _pids()}
    found, waiting = list[int](), [pid]
    while waiting:
        above = waiting.pop()
        children = [child for child, parent in parents.items() if parent == above]
        found += children
        waiting += children
    return found


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(status.rpartition(")")[2].split()[1])
    except OSError:
        return 0
