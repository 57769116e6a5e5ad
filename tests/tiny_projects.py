"""A real project of this package, as small as it can be: git, DVC, the whole graph, minutes on no machine."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
_COPIED = (
    *("dvc.yaml", ".dvc/config", ".dvc/.gitignore", ".gitignore", ".dvcignore"),
    *("flows", "prefect.yaml", "prefect.toml"),
)


def make_tiny_project(
    folder: Path,
    *,
    experiments: Mapping[str, Mapping[str, Any]] | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Make and commit a project of 40 scenes and small trainings of LeNet-5; return its folder.

    Args:
        folder: it must not exist.
        experiments: name -> keys of lenet's recipe to change; None: one, lenet, of 2 epochs.
        changes: section of params.yaml -> keys to change.
    """
    folder.mkdir(parents=True)
    for name in _COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, target)
    (folder / "data").mkdir()
    (folder / "data/splits_pinned.jsonl").write_text("\n", encoding="utf-8")
    write_params(folder, tiny_params(experiments or {"lenet": {}}, changes or {}))
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "x"],
    ):
        git(folder, *command)
    return folder


def tiny_params(
    experiments: Mapping[str, Mapping[str, Any]], changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the params of a tiny project."""
    params: dict[str, Any] = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    lenet = params["experiments"]["lenet"] | {"epochs": 2}
    params["experiments"] = {name: lenet | dict(keys) for name, keys in experiments.items()}
    params["sample"] |= {"num_scenes": 40}
    params["augment"].pop("detect")
    params["compare"].pop("detect")
    params["evaluate"] |= {"bootstrap_samples": 100}
    params["compare"] |= {"bootstrap_samples": 100}
    params["train"] |= {"device": "cpu", "num_workers": 0}
    for section, keys in changes.items():
        params[section] |= dict(keys)
    return params


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    """Write params.yaml."""
    text = io.StringIO()
    YAML().dump(dict(params), text)
    (folder / "params.yaml").write_text(text.getvalue(), encoding="utf-8")


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command in a project: this interpreter's `python` first, one thread."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **more}


def run(folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project, and keep what it says."""
    return subprocess.run(
        command, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody, and return what it says."""
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
