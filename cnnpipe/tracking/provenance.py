"""Where a run comes from: the git commit, and the data by its DVC hash."""

import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_MAX_DIGEST = 36  # characters of a digest that MLflow keeps; a DVC hash of a folder has just as many


def git_tags() -> dict[str, str]:
    """Return commit and dirty flag of the folder, or nothing where there is no git or no commit.

    Changes of dvc.lock do not count: it is written by the very run.
    """
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    changes = _git("status", "--porcelain", "--", ".", ":(exclude)dvc.lock")
    return {"mlflow.source.git.commit": commit, "cnnpipe.git_dirty": "true" if changes else "false"}


def data_hash(inputs: Mapping[str, str]) -> str:
    """Return the DVC hash of what a stage read, or the SHA-256 of it where DVC does not know it.

    Args:
        inputs: path of an input file -> its SHA-256; the first one below a DVC output counts.
    """
    hashes = _dvc_hashes()
    for path in inputs:
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            if str(folder) in hashes:
                return hashes[str(folder)]
    return next(iter(inputs.values()), "")


def dataset_input(inputs: Mapping[str, str]) -> DatasetInput:
    """Return the data of a training as MLflow's dataset, its digest the DVC hash."""
    path = next(iter(inputs), "data")
    dataset = Dataset(
        name=PurePosixPath(path).parent.name if PurePosixPath(path).suffix else PurePosixPath(path).name,
        digest=data_hash(inputs)[:_MAX_DIGEST],
        source_type="local",
        source=f'{{"uri": "{path}"}}',
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _git(*arguments: str) -> str:
    try:
        found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _dvc_hashes() -> dict[str, str]:
    """Return path -> md5 of every output in dvc.lock; none when it is missing or broken."""
    try:
        lock: Any = YAML(typ="safe").load(Path("dvc.lock").read_text(encoding="utf-8"))
        stages = lock["stages"].values()
        return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ()) if "md5" in out}
    except (OSError, YAMLError, AttributeError, KeyError, TypeError):
        return {}
