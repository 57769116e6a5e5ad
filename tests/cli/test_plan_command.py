"""`cnnpipe plan` as a user meets it: its table, its JSON, its exit codes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from plan_projects import make_plan_project, replace_in


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a param changed to a value that the run cache knows, and one that it does not."""
    folder = tmp_path_factory.mktemp("plan") / "project"
    make_plan_project(folder)
    replace_in(folder / "params.yaml", "n: 1", "n: 7")
    replace_in(folder / "params.yaml", "n: 2", "n: 3")
    return folder


def planned(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnpipe", "plan", *arguments]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_table_ends_with_the_counts(project: Path) -> None:
    shown = planned(project)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.rstrip() for line in shown.stdout.splitlines()]
    assert lines[0].split() == ["stage", "verdict", "why"]
    assert "train@p  restorable  experiments.p.n 1 → 7" in lines
    assert "train@q  to run      experiments.q.n 2 → 3" in lines
    assert "judge@q  to run      reads what train@q will write: may turn out unchanged" in lines
    assert lines[-1] == "4 to run, 2 restorable, 2 unchanged"
    assert "\x1b" not in shown.stdout


def test_json_says_the_same_to_programs(project: Path) -> None:
    told = json.loads(planned(project, "judge@p", "--json").stdout)
    assert told["counts"] == {"to run": 0, "restorable": 2, "unchanged": 1}
    assert told["looked_on_remote"] is False
    assert told["stages"][1] == {
        "stage": "train@p",
        "verdict": "restorable",
        "reasons": [
            {"kind": "param", "text": "experiments.p.n 1 → 7", "name": "experiments.p.n", "old": 1, "new": 7}
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["train@pp"], 2, "did you mean 'train@p'"),
        (["--remote"], 2, "dvc remote add --default"),
        (["--jsn"], 2, "Usage: cnnpipe plan"),
    ],
    ids=["stage", "remote", "option"],
)
def test_wrong_usage_exits_2(arguments: list[str], code: int, told: str, project: Path) -> None:
    shown = planned(project, *arguments)
    assert (shown.returncode, shown.stdout) == (code, "")
    assert told in shown.stderr


def test_every_fault_of_the_params_is_named_before_anything_else(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(root / name, tmp_path)
    shutil.copytree(root / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    replace_in(tmp_path / "params.yaml", "val_fraction", "val_fracton")
    replace_in(tmp_path / "params.yaml", "num_scenes", "num_scene")
    shown = planned(tmp_path)
    assert shown.returncode == 2
    assert "val_fracton" in shown.stderr
    assert "num_scene is not a known key" in shown.stderr
