"""Stage `record`: every trained experiment has its run, and when it has, MLflow is not even loaded."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from bundles import make_bundle, make_view

from cnnpipe import files
from cnnpipe.errors import StorageError
from cnnpipe.stages.record import record
from cnnpipe.tracking.projection import ensure_runs

MODELS, RESULTS, OUT = Path("models"), Path("results"), Path("record.json")


@pytest.fixture
def experiments(project_with_store: Path) -> None:
    """Leave two trained experiments, one of them judged."""
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(MODELS / "lenet", Path("view"), seed=1)
    make_bundle(MODELS / "wide", Path("view"), seed=2)
    files.write_json(RESULTS / "lenet" / "metrics.json", {"test/accuracy": 0.75})


def refuse(experiments: Iterable[tuple[Path, Path]]) -> list[str]:
    raise AssertionError("nothing is to do")


def test_missing_runs_are_built_once(experiments: None) -> None:
    assert record(MODELS, RESULTS, OUT, ensure_runs=ensure_runs) == {"recorded": 2}
    written = OUT.read_bytes()
    assert files.read_json(OUT, dict) == {"lenet": f"{1:064x}", "wide": f"{2:064x}"}
    assert record(MODELS, RESULTS, OUT, ensure_runs=refuse) == {"up to date": 2}
    assert OUT.read_bytes() == written


def test_new_results_are_recorded(experiments: None) -> None:
    record(MODELS, RESULTS, OUT, ensure_runs=ensure_runs)
    files.write_json(RESULTS / "wide" / "metrics.json", {"test/accuracy": 0.5})
    assert record(MODELS, RESULTS, OUT, ensure_runs=ensure_runs) == {"recorded": 2}
    assert record(MODELS, RESULTS, OUT, ensure_runs=refuse) == {"up to date": 2}


def test_without_an_experiment_no_store_is_touched(project_dir: Path) -> None:
    assert record(MODELS, RESULTS, OUT, ensure_runs=refuse) == {"up to date": 0}
    assert files.read_json(OUT, dict) == {}
    assert not Path("mlflow.db").exists()


def test_a_store_that_is_away_is_an_error(experiments: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="start the server"):
        record(MODELS, RESULTS, OUT, ensure_runs=ensure_runs)
    assert not OUT.exists()


@pytest.mark.slow
def test_the_command_loads_no_mlflow_when_nothing_is_new(experiments: None) -> None:
    record(MODELS, RESULTS, OUT, ensure_runs=ensure_runs)
    code = """
import sys
from cnnpipe.cli.main import run
code = run(["record"])
heavy = {"mlflow", "torch", "pandas", "sqlalchemy"} & sys.modules.keys()
sys.exit(f"exit {code}, loaded {heavy}" if code or heavy else 0)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "2 up to date" in ran.stderr
