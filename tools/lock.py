"""Write requirements.lock anew from pyproject.toml: exact versions, and every hash the index lists for them.

    make lock                        # keep the versions that still satisfy pyproject.toml
    make lock UPGRADE="dvc prefect"  # let these, and what they need, move
    make lock UPGRADE=all            # let every version move

It resolves for the Python and the machine it runs on (3.11, Linux x86-64), reads several GB from the package
index and takes up to ten minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_COMPILER: Final = "pip-tools==7.6.2"
_HEADER: Final = """\
# Every package of cnnpipe[train,orchestration,s3,dev] for Python 3.11 on Linux x86-64.
# Written by `make lock`, from pyproject.toml; not by hand.
"""
_OPTIONS: Final = (
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",  # setuptools, which builds the project
    "--strip-extras",
    "--no-header",
    "--no-emit-options",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
    "--extra=train,orchestration,s3,dev",
)


def main(arguments: Sequence[str]) -> int:
    """Write the lock file of the project this file belongs to; return the exit code."""
    parser = argparse.ArgumentParser(description="Write requirements.lock anew.")
    parser.add_argument("upgrade", nargs="*", help="packages whose version may move, or: all")
    project = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory(prefix="cnnpipe-lock-") as folder:
        return _compile(project, Path(folder), upgrades(parser.parse_args(arguments).upgrade))


def upgrades(names: Sequence[str]) -> list[str]:
    """Return the compiler's options that let the versions of `names` move.

    >>> upgrades(["dvc"])
    ['--upgrade-package=dvc']
    """
    return ["--upgrade"] if "all" in names else [f"--upgrade-package={name}" for name in names]


def _compile(project: Path, folder: Path, options: Sequence[str]) -> int:
    """Run the compiler in an environment of its own: it must not be a dependency of what it resolves."""
    lock = project / "requirements.lock"
    new = folder / lock.name
    if lock.exists():
        new.write_bytes(lock.read_bytes())  # the compiler keeps the versions it finds there
    subprocess.run([os.path.realpath(sys.executable), "-m", "venv", folder / "venv"], check=True)
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", _COMPILER], check=True)
    command = [
        python,
        "-m",
        "piptools",
        "compile",
        *_OPTIONS,
        *options,
        f"--output-file={new}",
        "pyproject.toml",
    ]
    code = subprocess.run(command, cwd=project, check=False).returncode
    if code == 0:
        part = lock.with_name(f"{lock.name}.part")
        part.write_text(_HEADER + new.read_text(encoding="utf-8"), encoding="utf-8")
        part.replace(lock)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
