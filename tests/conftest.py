"""What every test stands on: no telemetry, a project folder and a store of its own.

It also puts this folder on the path of imports, so that every test can use `synthetic` and `bundles`.
"""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from cnnpipe import telemetry

telemetry.turn_off()  # before a test imports anything that could phone home

# workers are as many as cores: further threads of each would only be in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

# the same examples on every machine, and no clock: a busy machine is no failure
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")

# the user's own store and project must not be written to, nor decide a test
for _name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "CNNPIPE_STATE", "DVC_STAGE"):
    os.environ.pop(_name, None)
for _name in ("CNNPIPE_CHECKPOINTS", "CNNPIPE_LEASES", "CNNPIPE_SLOTS"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLflow database without a run: making its tables takes seconds, so that is done once."""
    from mlflow import MlflowClient  # 3 s, only for who asks

    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def project_with_store(project_dir: Path, empty_store: Path) -> Path:
    """Stand in a folder that holds nothing but an empty MLflow store."""
    shutil.copyfile(empty_store, project_dir / "mlflow.db")
    return project_dir


@pytest.fixture
def project_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder: the MLflow store, .cnnpipe/ and all relative paths are below it."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder
