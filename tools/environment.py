"""What a virtual environment holds, and whether that is what requirements.lock says."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOCK: Final = "requirements.lock"
_MARK: Final = "cnnpipe-setup.json"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==\S+", re.MULTILINE)


@dataclass(frozen=True)
class Mark:
    """Written into an environment when set-up begins (digest empty) and, last of all, when it has ended."""

    digest: str  # of the lock file and of what pyproject.toml says about installation; "" while at work
    venv: str  # absolute path: the scripts in an environment that was moved or copied start another Python
    packages: frozenset[str]  # normalised names that set-up has brought, or may have


def wanted_mark(project: Path) -> Mark:
    """Return the mark of an environment that is as the files of `project` want it."""
    lock = (project / LOCK).read_bytes()
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    # not the settings of ruff, mypy and pytest: they change often and install nothing
    installation = [
        pyproject.get("build-system"),
        pyproject["project"],
        pyproject.get("tool", {}).get("setuptools"),
    ]
    digest = hashlib.sha256(lock + json.dumps(installation, sort_keys=True).encode()).hexdigest()
    return Mark(digest=digest, venv=str(project / ".venv"), packages=pinned_names(lock.decode()))


def read_mark(venv: Path) -> Mark | None:
    """Return the mark in the environment, or None where set-up has never begun or the file is damaged."""
    try:
        found = json.loads((venv / _MARK).read_text(encoding="utf-8"))
        return Mark(digest=found["digest"], venv=found["venv"], packages=frozenset(found["packages"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mark(venv: Path, mark: Mark) -> None:
    """Write the mark, whole."""
    part = venv / f"{_MARK}.part"
    content = {"digest": mark.digest, "venv": mark.venv, "packages": sorted(mark.packages)}
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(venv / _MARK)


def is_ready(venv: Path, wanted: Mark) -> bool:
    """Whether set-up has ended here, for these files, and the interpreter still exists."""
    return read_mark(venv) == wanted and os.access(venv / "bin" / "python", os.X_OK)


def is_usable(venv: Path) -> bool:
    """Whether pip can go on in this environment; if not, it must be made anew."""
    mark = read_mark(venv)
    if mark and mark.venv != str(venv):
        return False
    if not any(venv.glob("lib/python*/site-packages/pip-*.dist-info")):
        return False
    python = venv / "bin" / "python"
    return os.access(python, os.X_OK) and _runs([str(python), "-I", "-c", "import pip"])


def drop_half_installed(venv: Path) -> list[str]:
    """Remove the metadata of packages whose files are not all there, so that pip installs them again.

    pip takes a package for installed as soon as its metadata lies there, and it copies the files one by one:
    killed in between, it would skip the package for ever after.

    Returns:
        Names of the removed folders: `name-version.dist-info`.
    """
    dropped = []
    for site in venv.glob("lib/python*/site-packages"):
        for info in sorted(site.glob("*.dist-info")):
            if not is_complete(info):
                shutil.rmtree(info)
                dropped.append(info.name)
        for leftover in site.glob("~*"):  # a package that pip was replacing
            shutil.rmtree(leftover, ignore_errors=True)
    return dropped


def is_complete(dist_info: Path) -> bool:
    """Whether every file in the package's RECORD is there with its size, and pip has signed it.

    pip writes RECORD last, with its own INSTALLER in it; the RECORD of the wheel itself has no such line.

    Source: PyPA specification "Recording installed projects".
    """
    try:
        with (dist_info / "RECORD").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == 3]
        return f"{dist_info.name}/INSTALLER" in {row[0] for row in rows} and all(
            not size or (dist_info.parent / name).stat().st_size == int(size) for name, _, size in rows
        )
    except (OSError, ValueError):
        return False


def pinned_names(lock: str) -> frozenset[str]:
    """Return the normalised names of all packages in a lock file."""
    return frozenset(normalised(name) for name in _PIN.findall(lock))


def pinned_block(lock: str, name: str) -> str:
    """Return the lines of one package: its version and its hashes."""
    return "".join(_block(lock, name))


def normalised(name: str) -> str:
    """Return the name as PEP 503 compares it: `Flufl.Lock` and `flufl_lock` are one package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def size_bytes(folder: Path) -> int:
    """Return the bytes of all files below `folder`; 0 where there is none."""
    return sum((Path(root) / name).lstat().st_size for root, _, names in os.walk(folder) for name in names)


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _block(lock: str, name: str) -> Iterator[str]:
    inside = False
    for line in lock.splitlines(keepends=True):
        if match := _PIN.match(line):
            inside = normalised(match[1]) == name
        if inside and line.strip() and not line.lstrip().startswith("#"):
            yield line
