"""What a check found, how bad that is, and what helps."""

from typing import Literal

import msgspec

from cnnpipe.errors import CnnpipeError

State = Literal["ok", "note", "warning", "error"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the doctor's table."""

    check: str
    state: State
    found: str
    fix: str = ""  # empty where there is nothing to do
    exit_code: int = 0  # of an error: that of its class in cnnpipe.errors


def ok(check: str, found: str) -> Result:
    """Return a row that asks for nothing."""
    return Result(check=check, state="ok", found=found)


def note(check: str, found: str, fix: str = "") -> Result:
    """Return a row about something that is worth knowing and hinders nothing."""
    return Result(check=check, state="note", found=found, fix=fix)


def warning(check: str, found: str, fix: str) -> Result:
    """Return a row about something that will hinder some work, or soon."""
    return Result(check=check, state="warning", found=found, fix=fix)


def error(check: str, found: str, fix: str, kind: type[CnnpipeError] = CnnpipeError) -> Result:
    """Return a row about something without which the pipeline does not run; `kind` gives the exit code."""
    return Result(check=check, state="error", found=found, fix=fix, exit_code=kind.exit_code)
