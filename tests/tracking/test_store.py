"""The store: created once by whoever comes, refused within seconds when it cannot be had."""

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from sqlalchemy import Engine, event

from cnnpipe.errors import StorageError
from cnnpipe.tracking.store import open_store, reported

WRITER = """
import sys
from cnnpipe.tracking.store import open_store
from mlflow.entities import Metric
store = open_store()
run = store.client.create_run(store.experiment_id, run_name=sys.argv[1])
store.client.log_batch(run.info.run_id, [Metric("loss", step / 7, 0, step) for step in range(50)])
store.client.set_terminated(run.info.run_id)
"""


@pytest.mark.slow
def test_four_processes_open_a_new_store_at_once(project_dir: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(number)], stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    said = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0], said
    store = open_store()
    runs = store.client.search_runs([store.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["0", "1", "2", "3"]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_artifacts_lie_beside_the_database(project_with_store: Path) -> None:
    store = open_store()
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.name == "project"
    assert experiment.artifact_location == (project_with_store / "mlartifacts").as_uri()
    assert open_store().experiment_id == store.experiment_id


def test_an_experiment_deleted_in_the_ui_is_brought_back(project_with_store: Path) -> None:
    store = open_store()
    store.client.delete_experiment(store.experiment_id)
    assert open_store().experiment_id == store.experiment_id
    assert store.client.get_experiment(store.experiment_id).lifecycle_stage == "active"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no database grow any more."""

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # no less than it has

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_told_in_one_line_with_a_way_out(
    project_with_store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = open_store()
    run_id = store.client.create_run(store.experiment_id).info.run_id
    metrics = [Metric("loss", 0.5, 0, step) for step in range(1000)]
    with pytest.raises(StorageError) as caught, reported(store.uri):
        store.client.log_batch(run_id, metrics)
    assert caught.value.what == (
        "the MLflow store does not answer: (sqlite3.OperationalError) database or disk is full"
    )
    assert caught.value.fix == "free some space; then run the command again"
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_is_down_is_refused_within_seconds(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    with pytest.raises(
        StorageError, match="fix: start the server, or correct or unset MLFLOW_TRACKING_URI"
    ) as error:
        open_store()
    assert time.monotonic() - started < 5
    assert error.value.exit_code == 7
    assert error.value.where == uri


@pytest.mark.parametrize("content", [b"this is no database" * 100, None], ids=["no database", "a folder"])
def test_a_file_that_is_no_database_is_refused(content: bytes | None, project_dir: Path) -> None:
    database = project_dir / "mlflow.db"
    if content is None:
        database.mkdir()
    else:
        database.write_bytes(content)
    with pytest.raises(StorageError, match="move the file away"):
        open_store()
    assert content is None or database.read_bytes() == content


def test_a_name_that_mlflow_does_not_know_is_refused(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://here")
    with pytest.raises(StorageError, match="MLFLOW_TRACKING_URI"):
        open_store()


def test_the_store_is_the_one_that_mlflow_opens_by_that_address(project_with_store: Path) -> None:
    store = open_store()
    assert MlflowClient(store.uri).get_experiment_by_name("project") is not None
