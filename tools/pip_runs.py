"""pip, quiet but visibly alive: its words go to a log file, one line of progress to the terminal."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_POLL_S: Final = 0.5
_TERMINAL_EVERY_S: Final = 1.0
_LOG_EVERY_S: Final = 20.0  # where the lines stay, as in CI, fewer of them
_LAST_WORDS: Final = 15  # lines of a failed run that are printed
_LONGEST_LINE: Final = 300  # characters; pip lists all packages in one line
_PATIENCE_S: Final = 20.0  # pip removes its temporary files when it is interrupted


class PipError(Exception):
    """pip has ended with another code than 0."""


@dataclass(frozen=True)
class Runner:
    """Runs the pip of one environment.

    Args:
        venv: the environment.
        log: file that receives pip's words, from one run after the other.
        total: packages in the lock file, for the progress.
    """

    venv: Path
    log: Path
    total: int

    def run(self, arguments: Sequence[str]) -> None:
        """Run `pip ARGUMENTS` to its end.

        Raises:
            PipError: pip failed; its last lines were printed.
        """
        temporary = self.venv / "tmp"  # /tmp is often too small for 3 GB of wheels
        shutil.rmtree(temporary, ignore_errors=True)  # of a pip that was killed
        temporary.mkdir()
        python = str(self.venv / "bin" / "python")
        command = [python, "-I", "-u", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
        surroundings = {**os.environ, "TMPDIR": str(temporary), "PIP_USER": "0"}
        with self.log.open("ab") as log:
            start = log.tell()
            # close_fds=False: the lock of set-up lives on in pip, should this process be killed
            pip = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=surroundings, close_fds=False
            )
        try:
            self._watch(pip, start)
        finally:
            _end(pip)
            shutil.rmtree(temporary, ignore_errors=True)
        if pip.returncode:
            last = self._words(start).splitlines()[-_LAST_WORDS:]
            print(*(line[:_LONGEST_LINE] for line in last), sep="\n", file=sys.stderr)
            raise PipError(f"pip {arguments[0]} {_ending(pip.returncode)}")

    def _watch(self, pip: subprocess.Popen[bytes], start: int) -> None:
        is_terminal = sys.stderr.isatty()
        every = _TERMINAL_EVERY_S if is_terminal else _LOG_EVERY_S
        began = said = time.monotonic()
        while pip.poll() is None:
            time.sleep(_POLL_S)
            now = time.monotonic()
            if now - said >= every:
                said = now
                line = f"set-up: {self.progress(self._words(start))}, {now - began:.0f} s"
                sys.stderr.write(f"\r{line:<78}" if is_terminal else f"{line}\n")
                sys.stderr.flush()
        if is_terminal and said > began:
            print(f"\r{'':<78}\r", end="", file=sys.stderr, flush=True)

    def progress(self, words: str) -> str:
        """Return how far pip is, from what it has said and from what lies in the environment."""
        if "\nInstalling collected packages" in words:
            there = sum(1 for _ in self.venv.glob("lib/python*/site-packages/*.dist-info"))
            return f"installed {min(there, self.total)} of {self.total} packages"
        seen = sum(line.startswith(("Collecting ", "Requirement already")) for line in words.splitlines())
        return f"fetched {min(seen, self.total)} of {self.total} packages"

    def _words(self, start: int) -> str:
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with {code}"


def _end(pip: subprocess.Popen[bytes]) -> None:
    """Leave no pip behind: Ctrl-C has reached it as well, a SIGTERM to this process has not."""
    if pip.poll() is not None:
        return
    pip.terminate()
    try:
        pip.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also after a second Ctrl-C
        pip.kill()
        pip.wait()
