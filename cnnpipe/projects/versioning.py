"""A new project under git: a repository of its own with a first commit, or a place in the user's."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from cnnpipe.errors import CnnpipeError

Place = Literal["own", "inside", "none"]  # repository of its own | inside one of the user's | no git at all

_MESSAGE: Final = "Start the project with cnnpipe init"
# The user's hooks, templates and signing are for his own commits; here they could ask for a password.
_UNTOUCHED: Final = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "commit.gpgSign=false",
    "-c", "core.autocrlf=false",
    "-c", "core.safecrlf=false",
)  # fmt: skip
_STAND_IN: Final = ("-c", "user.name=cnnpipe", "-c", "user.email=cnnpipe@localhost")
# What a hook or a rebase around this process would have git believe.
_FOREIGN: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
)


def find_place(folder: Path) -> Place:
    """Return what a project in `folder` has of git. A repository that ignores the folder does not count.

    Args:
        folder: it need not exist, nor its parents.
    """
    if shutil.which("git") is None:
        return "none"
    parent = next(each for each in folder.parents if each.is_dir())
    inside = _run(parent, "rev-parse", "--is-inside-work-tree")
    if inside.returncode or inside.stdout.strip() != "true":
        return "own"
    ignored = _run(parent, "check-ignore", "--quiet", "--", f"{folder}/")
    return "own" if ignored.returncode == 0 else "inside"


def commit_first(folder: Path, files: Sequence[str]) -> bool:
    """Make a repository in `folder` whose first commit holds `files`; return whether the user signed it.

    Without an identity of the user, this one commit has a stand-in.

    Args:
        folder: the project.
        files: paths below it; also those that the user's own rules would ignore.

    Raises:
        CnnpipeError: git failed.
    """
    _must(folder, "init", "--quiet", "--template=")
    _must(folder, "--literal-pathspecs", "add", "--force", "--", *files)  # `[1].json` is a name
    has_identity = all(
        _run(folder, "-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT").returncode == 0
        for role in ("AUTHOR", "COMMITTER")
    )
    who = () if has_identity else _STAND_IN
    _must(folder, *who, "commit", "--quiet", "--no-verify", "--message", _MESSAGE)
    return has_identity


def _must(folder: Path, *arguments: str) -> None:
    ran = _run(folder, *arguments)
    if ran.returncode:
        said = " ".join(ran.stderr.split()) or f"it ended with {ran.returncode}"
        fix = "see whether `git init` works in an empty folder; or take git out of PATH for this command"
        raise CnnpipeError("git", said, fix)


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    command = ["git", *_UNTOUCHED, *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
