"""Make `.venv` from requirements.lock, or finish what an interrupted run left of it.

Run by every target of the Makefile; costs a tenth of a second when nothing is to be done. Needs no more than
the standard library of Python 3.11. `python -m tools.setup_venv`, from the root of the project.
"""

import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from tools import environment, pip_runs
from tools.environment import Mark

_ENVIRONMENT_BYTES: Final = 7_450_000_000  # measured: all packages of the lock file, installed
_WHEELS_FRACTION: Final = 0.9  # of that: pip keeps every wheel until the end, and a copy in its cache
_SPARE_BYTES: Final = 500_000_000
_INTERRUPTED: Final = 128 + signal.SIGINT
_TERMINATED: Final = 128 + signal.SIGTERM


class SetupError(Exception):
    """The environment cannot be made: where, what, and how to fix it."""

    def __init__(self, where: str, what: str, fix: str) -> None:
        super().__init__(f"{where}: {what}\n  fix: {fix}")


def main() -> int:
    """Set up the project this file belongs to; return the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        set_up(Path(__file__).resolve().parent.parent, install)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: set-up: {error}\n  fix: see to it that the folder can be written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: stopped; run it again, it goes on from here", file=sys.stderr)
        return _INTERRUPTED
    return 0


def set_up(project: Path, install: Callable[[Path, Mark], None]) -> None:
    """Leave a `.venv` in `project` that holds exactly what requirements.lock says, or raise.

    Args:
        project: folder of pyproject.toml and requirements.lock.
        install: fills the environment of the project; called only when something is to be done.

    Raises:
        SetupError: another machine than the lock's, a full disk, or pip failed.
    """
    venv = project / ".venv"
    wanted = environment.wanted_mark(project)
    if environment.is_ready(venv, wanted):
        return
    with _only_one(project / ".cnnpipe" / "setup.lock"):
        if environment.is_ready(venv, wanted):
            return  # who held the lock before has done it
        _check_machine(sys.platform, platform.machine())
        environment.drop_half_installed(venv)
        usable = environment.is_usable(venv)
        _check_disk(venv, keep=usable)
        if not usable:
            _make(venv)
        before = environment.read_mark(venv)
        begun = before.packages | wanted.packages if before else wanted.packages
        environment.write_mark(venv, Mark(digest="", venv=wanted.venv, packages=begun))
        install(project, wanted)
        environment.write_mark(venv, wanted)


def install(project: Path, wanted: Mark) -> None:
    """Install the lock file, then the project itself, and remove what an older lock file had brought.

    The lock's setuptools comes first and builds the rest without isolation: else pip would fetch an unpinned
    one, unchecked, for the packages that come as source, and the project could not be installed offline.
    """
    venv = project / ".venv"
    lock = (project / environment.LOCK).read_text(encoding="utf-8")
    builder = venv / "builder.txt"
    builder.write_text(environment.pinned_block(lock, "setuptools"), encoding="utf-8")
    checked = ["install", "--require-hashes", "--no-build-isolation", "--use-pep517"]
    log = project / ".cnnpipe" / "setup.log"
    log.unlink(missing_ok=True)
    runner = pip_runs.Runner(venv, log=log, total=len(wanted.packages))
    try:
        runner.run([*checked, "-r", str(builder)])
        runner.run([*checked, "-r", str(project / environment.LOCK)])
        runner.run(["install", "--no-deps", "--no-build-isolation", "-e", str(project)])
        mark = environment.read_mark(venv)
        if mark and (gone := sorted(mark.packages - wanted.packages)):
            runner.run(["uninstall", "--yes", *gone])
    except pip_runs.PipError as error:
        fix = f"read the lines above and {log}; then run it again, it goes on from here"
        raise SetupError(".venv", str(error), fix) from error


def _check_machine(system: str, machine: str) -> None:
    if (system, machine) != ("linux", "x86_64"):
        install = ".venv/bin/pip install -e '.[train,orchestration,dev,s3]'"
        fix = f"make one by hand: python -m venv .venv, {install}"
        raise SetupError("requirements.lock", f"made for linux x86_64; this is {system} {machine}", fix)


def _check_disk(venv: Path, *, keep: bool) -> None:
    """Refuse to begin what the disk cannot hold: pip would fail after minutes, half-way."""
    place = venv.resolve().parent
    present = environment.size_bytes(venv)
    missing = max(0, _ENVIRONMENT_BYTES - (present if keep else 0))
    needed = missing * (1 + _WHEELS_FRACTION) + _SPARE_BYTES
    free = shutil.disk_usage(place).free + (0 if keep else present)
    if free < needed:
        what = f"set-up needs {needed / 1e9:.1f} GB of free disk here, and finds {free / 1e9:.1f} GB"
        raise SetupError(
            str(place), what, "free some space, or make .venv a link to a folder on a larger disk"
        )


def _make(venv: Path) -> None:
    """Make the empty environment; whatever stood there is cleared (a link stays a link)."""
    print("set-up: making .venv (about 5 minutes and 7 GB, once)", file=sys.stderr)
    command = [os.path.realpath(sys.executable), "-m", "venv", "--clear", str(venv)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SetupError(str(venv), (ran.stdout + ran.stderr).strip(), "remove it, then run it again")


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock on `path` for the block, waiting for another set-up to end.

    The descriptor is inherited by pip: a pip that outlives its killed parent still holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(descriptor, True)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: another one is at work in this folder; waiting for it", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
