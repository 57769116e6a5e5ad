"""The project of the benchmark is what it says: up to date but for what asks MLflow."""

from pathlib import Path

import pytest

from benchmarks.plan import make_project
from cnnpipe.orchestration.planning.plan import plan

pytestmark = pytest.mark.slow


def test_only_what_asks_mlflow_is_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    make_project(project, 2)
    monkeypatch.chdir(project)
    planned = plan(project)
    assert [each.stage for each in planned if each.verdict != "unchanged"] == ["code", "register"]
    assert sum(each.stage.startswith("train@") for each in planned) == 2
