"""The DVC remote, seen from a flow: which it is, whether it answers, and the command that pushes a stage."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from dvc.config import Config, ConfigError

from cnnpipe.errors import StorageError
from cnnpipe.tracking.place import shown

_PROGRAM: Final = "cnnpipe.orchestration.remote_transfer"
_WHERE: Final = "the DVC remote"
_FIX: Final = "nothing is lost here; look at address, network and credentials, then run it again"
_ASKING_S: Final = 28.0  # with 20 for the answer, the rest for starting Python
# `error: where: what`, then `  fix: …`: the form in which the program says it
_FAULT: Final = re.compile(r"^error: (?P<where>.+?): (?P<what>.*)\n\s*fix: (?P<fix>.*)", re.M)


class Remote(msgspec.Struct, frozen=True):
    """The default remote of a project."""

    name: str
    address: str  # without user and password
    is_folder: bool


def default_remote(root: Path) -> Remote | None:
    """Return the default remote of the project at `root`; None: none is set.

    Raises:
        StorageError: DVC's settings cannot be read, or name a remote that is not there.
    """
    return find_remote(root, None)


def find_remote(root: Path, name: str | None) -> Remote | None:
    """Return a remote of the project at `root` by its name, None for the default one; None: none is set.

    Raises:
        StorageError: DVC's settings cannot be read, or there is no such remote.
    """
    settings = root / ".dvc"
    try:
        config = Config(str(settings))
        name = name or config["core"].get("remote")
        if not name:
            return None
        url = config["remote"][name]["url"]
    except ConfigError as error:
        raise StorageError(str(settings / "config"), shown(str(error)), "mend it") from error
    except KeyError as error:
        fix = f"dvc remote add {name} URL; or name another: dvc remote default NAME"
        raise StorageError(
            str(settings / "config"), f"there is no remote {name!r} with a url", fix
        ) from error
    is_folder = "://" not in url
    address = os.path.normpath(url) if is_folder else shown(url)
    return Remote(name=name, address=address, is_folder=is_folder)


def push_command(*stages: str) -> list[str]:
    """Return the command that pushes the outputs of `stages`, then their entries of the run cache.

    Run it in the folder of the project, one at a time; other stages may run meanwhile. It ends 0, or 7
    when the remote did not take all: `push_fault` says why. A killed one leaves no broken file on the
    remote, and the next one goes on.
    """
    return [sys.executable, "-m", _PROGRAM, "push", *stages]


def push_fault(exit_code: int, output: str) -> StorageError:
    """Return why a push failed.

    Args:
        exit_code: of `push_command`; negative for a signal.
        output: what it said, stdout and stderr as one.
    """
    if found := list(_FAULT.finditer(output)):
        return StorageError(*(shown(found[-1][part]) for part in ("where", "what", "fix")))
    what = f"killed by signal {-exit_code}" if exit_code < 0 else f"the push ended with exit code {exit_code}"
    last = shown(output.strip().rpartition("\n")[2])
    return StorageError(_WHERE, f"{what}: {last}" if last else what, _FIX)


def push_stage(root: Path, stage: str, *, environment: Mapping[str, str] | None = None) -> None:
    """Push the outputs of one stage and its entry of the run cache, in a process of its own.

    Args:
        root: folder of the project.
        stage: its name in the graph.
        environment: of the process; None: that of this one.

    Raises:
        StorageError: the remote did not take it all. Nothing is lost here, and the next push goes on.
    """
    done = _run(root, push_command(stage), environment)
    if done.returncode != 0:
        raise push_fault(done.returncode, done.stdout)


def is_reachable(root: Path, *, environment: Mapping[str, str] | None = None) -> str:
    """Ask the default remote; return "" when it answers, else why not, within half a minute.

    Raises:
        StorageError: DVC's settings cannot be read.
    """
    if default_remote(root) is None:
        return "none is set"
    try:
        done = _run(root, [sys.executable, "-m", _PROGRAM, "ask"], environment, timeout_s=_ASKING_S)
    except subprocess.TimeoutExpired:
        return f"no answer within {_ASKING_S:.0f} s"
    return "" if done.returncode == 0 else push_fault(done.returncode, done.stdout).what


def _run(
    root: Path,
    command: list[str],
    environment: Mapping[str, str] | None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=root,
        env=dict(os.environ if environment is None else environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
    )
