"""One stage, run as the command a person would type, and what became of it."""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from cnnpipe import files
from cnnpipe.errors import (
    BusyError,
    CnnpipeError,
    DataError,
    ModelError,
    ParamsError,
    StorageError,
)
from cnnpipe.orchestration.children import Children
from cnnpipe.orchestration.leases import Lease
from cnnpipe.orchestration.remote import push_fault
from cnnpipe.stage_ends import StageEnd, end_file

Outcome = Literal["ran", "restored", "unchanged", "failed", "not run"]

DVC: Final = (sys.executable, "-m", "dvc")
Pull = Literal["nothing", "the stage", "with what it needs"]
_OPTIONS: Final[Mapping[Pull, tuple[str, ...]]] = MappingProxyType(
    {
        "nothing": ("--single-item",),
        "the stage": ("--single-item", "--pull"),
        # not --single-item: inputs that are missing here are restored, too
        "with what it needs": ("--pull",),
    }
)
# What DVC says to a person at every stage, and a flow's log need not hold.
_HINTS: Final = (
    "To track the changes with git",
    "\tgit add",
    "To enable auto staging",
    "\tdvc config",
    "Use `dvc push`",
)
# Of a stage whose command failed. Source: dvc 3.67, stage/exceptions.py, `StageCmdFailedError`.
_EXITED: Final = re.compile(r"failed to run: .*, exited with (\d+)$")
# Of a file that another dvc reads or writes: it does not wait for that. Source: dvc 3.67, rwlock.py.
_BLOCKED: Final = "is busy, it is being blocked by"
_ERRORS: Final[Mapping[int, type[CnnpipeError]]] = MappingProxyType(
    {each.exit_code: each for each in (ParamsError, DataError, ModelError, StorageError, BusyError)}
)


class StageRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one stage."""

    stage: str
    outcome: Outcome
    seconds: float
    note: str = ""  # why it failed or was not run, or where it ran


@dataclass(frozen=True)
class Site:
    """Where stages run, and who can end them."""

    root: Path  # folder of the project, and the working folder of this process
    children: Children


def dvc_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a dvc that a flow starts: this interpreter first, this process watched."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **os.environ,
        **more,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "CNNPIPE_WATCH_PID": str(os.getpid()),
    }


def run_stage(
    stage: str,
    site: Site,
    *,
    on_line: Callable[[str], None],
    pull: Pull = "nothing",
    lease: Lease | None = None,
) -> StageRun:
    """Bring one stage up to date; what it needs must be.

    Args:
        stage: its name in the graph.
        site: where, and under whose control.
        on_line: told each line of its output.
        pull: what to look for on the remote before running it.
        lease: of the device it works on; the process keeps it as long as it lives.

    Raises:
        CnnpipeError: of the class that the stage itself ended with.
    """
    started, began = time.time(), time.perf_counter()
    environment = dvc_environment(lease.environment if lease else {})
    fds = (lease.fd,) if lease else ()
    said: list[str] = []

    def keep(line: str) -> None:
        said.append(line)
        if not line.startswith(_HINTS):
            on_line(line)

    def reproduce(options: Sequence[str]) -> int:
        command = [*DVC, "--wait-for-lock", "repro", *options, stage]
        return site.children.run(command, cwd=site.root, environment=environment, on_line=keep, pass_fds=fds)

    code = reproduce(_OPTIONS[pull])
    if code != 0 and pull == "the stage" and _outcome(stage, said) != "ran":
        on_line(f"{stage} cannot be restored from the remote: running it")  # e.g. half a folder is there
        code = reproduce(_OPTIONS["nothing"])
    if code != 0:
        raise stage_error(stage, code, said, started=started)
    return StageRun(stage=stage, outcome=_outcome(stage, said), seconds=time.perf_counter() - began)


def stage_error(stage: str, code: int, said: list[str], *, started: float) -> CnnpipeError:
    """Return why a stage failed: its own words where it left them since `started`, else DVC's."""
    end = _own_end(stage, since=started) or _said_end(stage, said)
    if any(_BLOCKED in line for line in said):
        holders = ", ".join(line.strip() for line in said if line.strip().startswith("(PID "))
        return BusyError(f"stage {stage}", f"another dvc has its files: {holders}", "wait for its end")
    if end is None or end.exit_code == 0:
        complaints = [line for line in said if line.startswith("ERROR")] or said[-3:]
        what = " ".join(complaints) or f"dvc ended with exit code {code}"
        return CnnpipeError(f"stage {stage}", what, "the log of the stage says more; then run it again")
    kind = _ERRORS.get(end.exit_code, CnnpipeError)
    if end.error is None:
        return kind(
            f"stage {stage}", f"ended with exit code {end.exit_code}", "the log of the stage says why"
        )
    what, _, fix = end.error.partition("\n  fix: ")
    return kind(f"stage {stage}", what.partition(": ")[2] or what, fix or "the log of the stage says more")


def _own_end(stage: str, *, since: float) -> StageEnd | None:
    path = end_file(stage)
    if not path.exists():
        return None
    end = files.read_json(path, StageEnd)
    return end if end.ended_at >= since else None


def _said_end(stage: str, said: Sequence[str]) -> StageEnd | None:
    """Return the end that a stage told of and could not write down: the disk is full."""
    starts = [number for number, line in enumerate(said) if line.startswith("error: ")]
    codes = [int(found[1]) for line in said if (found := _EXITED.search(line))]
    if not starts or not codes:
        return None
    words = said[starts[-1] : starts[-1] + 2]
    error = "\n".join(words[: 1 + words[-1].startswith("  fix: ")])
    return StageEnd(stage=stage, exit_code=codes[-1], error=error, seconds=0.0, ended_at=time.time())


def _outcome(stage: str, said: Sequence[str]) -> Outcome:
    """Return what DVC says it did. Source: dvc 3.67, stage/run.py, stage/cache.py and stage/__init__.py."""
    if f"Running stage '{stage}':" in said:
        return "ran"
    restored = (
        f"Stage '{stage}' is cached - skipping run, checking out outputs",
        f"Pulling data for stage: '{stage}'",
    )
    return "restored" if any(line in said for line in restored) else "unchanged"


def push(command: Sequence[str], site: Site, *, on_line: Callable[[str], None]) -> None:
    """Give the remote what a stage made.

    Raises:
        StorageError: the remote did not take it all. Nothing is lost here, and the next push goes on.
    """
    said: list[str] = []

    def keep(line: str) -> None:
        said.append(line)
        on_line(line)

    code = site.children.run(command, cwd=site.root, environment=dvc_environment({}), on_line=keep)
    if code != 0:
        raise push_fault(code, "\n".join(said))
