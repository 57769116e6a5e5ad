"""The commands a newcomer meets say the same wherever they stand: make, its help, CI and the hooks."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z]+):", MAKEFILE, re.M)


def make(*arguments: str) -> str:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    # the tests themselves run under make, which tells its children about itself
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    ran = subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, env=outside
    )
    return ran.stdout


def test_help_names_every_target() -> None:
    assert re.findall(r"^make (\w+)", make(), re.M) == TARGETS


def test_no_target_is_mistaken_for_a_file() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    assert phony
    assert phony[1].split() == TARGETS


def test_ci_runs_what_a_person_runs_and_nothing_softer() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "make check",
        "make test",
    ]


def test_the_hooks_call_the_same_targets_and_fetch_nothing() -> None:
    config: dict[str, Any] = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert [hook["entry"] for hook in hooks] == ["make check", "make test"]


@pytest.mark.parametrize("target", ["demo", "test", "check", "ui", "bench"])
def test_a_target_sets_up_first_and_runs_the_tools_of_the_environment(target: str) -> None:
    set_up, *commands = make("--dry-run", target).replace("\\\n", "").splitlines()
    assert "tools.setup_venv" in set_up
    assert commands
    assert all(".venv/bin/" in line for line in commands)


def test_clean_removes_nothing_that_git_or_dvc_keeps() -> None:
    words = set(make("--dry-run", "clean").replace("/", " ").split())
    assert not words & {
        "data",
        "models",
        "results",
        "comparison",
        "mlflow.db",
        "mlartifacts",
        ".venv",
        ".cnnpipe",
        ".dvc",
    }
