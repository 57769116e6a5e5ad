"""DVC: the project it keeps, and the remotes that are named to it."""

import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cnnpipe.errors import StorageError
from cnnpipe.projects.checks import servers
from cnnpipe.projects.checks.facts import DVC_YAML, Facts
from cnnpipe.projects.checks.programs import ask
from cnnpipe.projects.checks.results import Result, error, note, ok, warning
from cnnpipe.tracking.place import shown

_FOLDER: Final = Path(".dvc")
_ONLINE_S: Final = 60.0
# The program that asks a remote; a program, for this layer does not import that one.
_ASK: Final = "cnnpipe.orchestration.remote_transfer"

# Scheme of a remote's address -> the package without which DVC cannot speak to it.
_PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "azure": "dvc-azure",
        "gdrive": "dvc-gdrive",
        "gs": "dvc-gs",
        "hdfs": "dvc-hdfs",
        "oss": "dvc-oss",
        "s3": "dvc-s3",
        "ssh": "dvc-ssh",
        "webdav": "dvc-webdav",
        "webdavs": "dvc-webdav",
        "webhdfs": "dvc-webhdfs",
    }
)


def check_dvc(facts: Facts) -> list[Result]:
    """Look whether `dvc repro` finds what it needs."""
    if "No module named dvc" in facts.dvc.complained:
        fix = "pip install 'cnnpipe[orchestration]'; each stage runs without it: cnnpipe ingest, …"
        return [error("dvc", "not installed: `dvc repro` cannot run", fix)]
    if facts.dvc.code != 0:
        return [error("dvc", f"its settings cannot be read: {shown(facts.dvc.reason)}", "mend .dvc/config")]
    if not _FOLDER.is_dir():
        return [error("dvc", f"no {_FOLDER} here", "dvc init; without git: dvc init --no-scm")]
    if not DVC_YAML.exists():
        return [error("dvc", f"no {DVC_YAML} here", "restore it: git checkout dvc.yaml")]
    return [ok("dvc", f"{DVC_YAML} and {_FOLDER} are here")]


def check_remotes(facts: Facts) -> list[Result]:
    """List the remotes; one on this machine's disks must be there, others are asked with --online."""
    urls = {
        name.removeprefix("remote.").removesuffix(".url"): url
        for name, url in facts.dvc_settings.items()
        if name.startswith("remote.") and name.endswith(".url")
    }
    if not urls:
        return [ok("remotes", "none: the data stays on this machine")]
    found = [_judge(name, url, online=facts.online) for name, url in urls.items()]
    return [*_default(facts.dvc_setting("core.remote"), urls), *found]


def _default(name: str | None, urls: Mapping[str, str]) -> list[Result]:
    if name is None:
        fix = f"dvc remote default {next(iter(urls))}; flows push to the default one only"
        return [warning("remotes", "none is the default", fix)]
    if name not in urls:
        fix = f"dvc remote default {next(iter(urls))}, or: dvc remote add {name} URL"
        return [error("remotes", f"the default is {name}, and there is no such remote", fix, StorageError)]
    return []


def _judge(name: str, url: str, *, online: bool) -> Result:
    scheme, separator, _ = url.partition("://")
    if not separator:
        return _local(name, Path(url))
    package = _PACKAGES.get(scheme)
    if package and not _is_installed(package):
        what = f"{name}: {shown(url)} needs {package}"
        extra = "'cnnpipe[s3]'" if package == "dvc-s3" else package
        return error("remotes", what, f"pip install {extra}", StorageError)
    return (
        _reached(name, url)
        if online
        else note("remotes", f"{name}: {shown(url)}, not asked", "doctor --online asks it")
    )


def _local(name: str, folder: Path) -> Result:
    if not folder.is_dir():
        fix = f"mount its disk, or make the folder: mkdir -p {folder}"
        return error("remotes", f"{name}: there is no folder {folder}", fix, StorageError)
    if not os.access(folder, os.W_OK):
        fix = "give yourself the right to write there, to push; pull works"
        return warning("remotes", f"{name}: {folder} cannot be written", fix)
    return ok("remotes", f"{name}: {folder}")


def _reached(name: str, url: str) -> Result:
    fault = servers.fault_of(url) if servers.is_http(url) else _fault_by_dvc(name)
    if not fault:
        return ok("remotes", f"{name}: {shown(url)} answers")
    what = f"{name}: {shown(url)} does not answer: {shown(fault)}"
    fix = "look at address, network and credentials: docs/remotes.md; or try `dvc push -v`"
    return error("remotes", what, fix, StorageError)


def _fault_by_dvc(name: str) -> str:
    """Let DVC ask the remote. DVC's own `status --cloud` asks nothing where no stage has run."""
    answer = ask(sys.executable, "-m", _ASK, "ask", name, timeout_s=_ONLINE_S)
    if answer.code == 0:
        return ""
    told = answer.said.partition("\n")[0].partition("): ")[2]  # error: DVC remote NAME (URL): what
    return told or answer.said or answer.reason


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
