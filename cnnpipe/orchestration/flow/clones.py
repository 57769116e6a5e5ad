"""A worker's own clone at an exact commit: no run sees another's files, nor a half-written change.

Below one folder of the worker, per repository: `mirror.git`, one DVC cache and one folder of checkpoints for
all its clones, and a clone per flow run. Files are hard-linked out of the cache where the disk allows.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from prefect.runtime import flow_run

from cnnpipe import locks
from cnnpipe.errors import CnnpipeError, ParamsError

_KEPT_CLONES: Final = 5  # of ended runs, to look into
# What git takes for a name of a commit, and no option. Source: git-check-ref-format(1), gitrevisions(7).
_REVISION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/+@-]*")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@]*@")
_DVC_CONFIG: Final = "[cache]\n    dir = {cache}\n    type = hardlink,copy\n[core]\n    autostage = false\n"


def checkout(repository: str, branch: str = "HEAD") -> dict[str, str]:
    """Make this flow run's clone and return its folder; a pull step of prefect.yaml.

    The commit is the flow's parameter `revision`, or the head of `branch`.

    Args:
        repository: address or folder that git can clone, without a password in it.
        branch: where no revision is asked for; HEAD: the repository's own.

    Raises:
        ParamsError: git does not know the revision.
        CnnpipeError: the repository cannot be reached.
    """
    revision = flow_run.parameters.get("revision") or branch
    folder = make_clone(repository, str(revision), run_id=str(flow_run.id), work=work_dir())
    return {"directory": str(folder)}


def source() -> dict[str, str]:
    """Return where workers clone this project from, and its branch; a build step of prefect.yaml.

    That is the remote `origin`, without a password in its address; where there is none, this folder.

    Raises:
        ParamsError: this folder is no clone, or nothing is committed in it.
    """
    root = Path.cwd()
    commit_of(root)
    origin = _run(root, "config", "--get", "remote.origin.url").stdout.strip()
    if origin and "://" not in origin and Path(origin).exists():
        origin = str(Path(origin).resolve())
    branch = _run(root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    return {"repository": without_credentials(origin) or str(root), "branch": branch or "HEAD"}


def work_dir() -> Path:
    """Return the folder of this host's clones: CNNPIPE_WORK, else a folder of the user's cache."""
    if named := os.environ.get("CNNPIPE_WORK"):
        return Path(named).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "cnnpipe" / "work"


def make_clone(repository: str, revision: str, *, run_id: str, work: Path) -> Path:
    """Return a new clone of `repository` at `revision`; cache and checkpoints are shared by all clones of it.

    Args:
        repository: address or folder.
        revision: branch, tag or commit.
        run_id: name of the clone's folder.
        work: folder of all clones of this host.

    Raises:
        ParamsError: git does not know the revision.
        CnnpipeError: the repository cannot be reached.
    """
    site = work / _slug(repository)
    site.mkdir(parents=True, exist_ok=True)
    with locks.waited_for(site / "lock"):
        commit = _updated(site / "mirror.git", repository, revision)
        _remove_old(site / "clones")
        clone = site / "clones" / run_id
        shutil.rmtree(clone, ignore_errors=True)  # the same run again, after its worker died
        _git(None, "clone", "--quiet", "--shared", "--no-checkout", str(site / "mirror.git"), str(clone))
        _git(clone, "checkout", "--quiet", "--detach", commit)
        _git(clone, "remote", "set-url", "origin", repository)  # the project is called by it
    _furnish(clone, site)
    return clone


def commit_of(root: Path, revision: str = "HEAD") -> str:
    """Return the full hash of a commit of the clone at `root`.

    Raises:
        ParamsError: there is no such commit, or no git repository.
    """
    if not _REVISION.fullmatch(revision):
        raise ParamsError(
            "revision", f"{revision!r} is no name of a commit", "give a branch, a tag or a hash"
        )
    found = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode and revision == "HEAD":
        raise ParamsError(str(root), "is no git repository with a commit", "git init; git add; git commit")
    if found.returncode:
        raise ParamsError("revision", f"git knows no commit {revision!r}", "push it, or correct its name")
    return found.stdout.strip()


def changed_files(root: Path) -> list[str]:
    """Return the files of the clone at `root` that differ from its commit, but dvc.lock: runs write that."""
    told = _run(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock")
    return [line[3:] for line in told.stdout.splitlines()]


def without_credentials(repository: str) -> str:
    """Return the address without user and password: git asks its own credential helper for them.

    >>> without_credentials("https://me:secret@example.org/x.git")
    'https://example.org/x.git'
    """
    return _CREDENTIALS.sub("", repository)


def _slug(repository: str) -> str:
    """Return a folder name for a repository: readable, and no two the same."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(repository.rstrip("/")).name.removesuffix(".git")).strip("-")
    return f"{name or 'project'}-{hashlib.sha256(repository.encode()).hexdigest()[:8]}"


def _updated(mirror: Path, repository: str, revision: str) -> str:
    """Bring the mirror up to date and return the commit that `revision` is there."""
    if mirror.exists():
        _git(mirror, "remote", "set-url", "origin", repository)
        _git(mirror, "fetch", "--quiet", "--prune", "--tags", "--force", "origin")
    else:
        part = mirror.with_name(f"{mirror.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        _git(None, "clone", "--quiet", "--mirror", "--", repository, str(part))
        part.rename(mirror)
    return commit_of(mirror, revision)


def _remove_old(clones: Path) -> None:
    """Remove the clones of ended runs but the latest few; one whose flow still works is never touched."""
    if not clones.exists():
        return
    ended = [path for path in clones.iterdir() if not _is_at_work(path)]
    for path in sorted(ended, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT_CLONES:]:
        shutil.rmtree(path, ignore_errors=True)


def _furnish(clone: Path, site: Path) -> None:
    """Give a clone the cache and the checkpoints of its siblings."""
    for name in ("cache", "checkpoints"):
        (site / name).mkdir(exist_ok=True)
    (clone / ".dvc" / "config.local").write_text(_DVC_CONFIG.format(cache=site / "cache"), encoding="utf-8")
    state = clone / ".cnnpipe"
    state.mkdir(exist_ok=True)
    (state / "checkpoints").symlink_to(site / "checkpoints")


def _git(folder: Path | None, *arguments: str) -> None:
    done = _run(folder, *arguments)
    if done.returncode:
        what = without_credentials(" ".join(done.stderr.split())) or f"ended with {done.returncode}"
        raise CnnpipeError(f"git {arguments[0]}", what, "try the same command on this machine")


def _run(folder: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _is_at_work(clone: Path) -> bool:
    path = clone / ".cnnpipe" / "locks" / "flow.lock"
    if not path.exists():
        return False
    file = locks.take(path)
    if file is None:
        return True
    file.close()
    return False
