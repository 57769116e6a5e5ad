"""Other programs, asked a question: they answer in time, or it is told that they did not."""

import subprocess
from collections.abc import Sequence

import msgspec

_NO_ANSWER = 124  # as timeout(1) has it
_NOT_STARTED = 127  # as a shell has it


class Answer(msgspec.Struct, frozen=True):
    """How a program ended and what it said, without the white space around it."""

    code: int
    said: str
    complained: str = ""  # its stderr, or why there is no answer

    @property
    def reason(self) -> str:
        """The last line of the complaint, which is where Python, git and DVC say what is wrong."""
        return self.complained.rpartition("\n")[2] or f"exit code {self.code}"


def ask(*words: str, timeout_s: float = 10.0) -> Answer:
    """Run a program and return its answer; one that is absent or does not end gives an answer too.

    Args:
        words: the program and its arguments.
        timeout_s: after so many seconds it is killed.
    """
    try:
        ended = _run(words, timeout_s)
    except subprocess.TimeoutExpired:
        return Answer(_NO_ANSWER, "", f"{words[0]} gave no answer within {timeout_s:.0f} s")
    except OSError as error:
        return Answer(_NOT_STARTED, "", f"{words[0]}: {error.strerror or error}")
    return Answer(ended.returncode, ended.stdout.strip(), ended.stderr.strip())


def _run(words: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,  # nobody is there to type a password
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
