"""A real MLflow server on this machine: the same record as in a database, and pages that answer."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import make_bundle, make_view

from cnnpipe import files
from cnnpipe.tracking import ui
from cnnpipe.tracking.projection import ensure_run
from cnnpipe.tracking.quick import is_recorded, results_digest
from cnnpipe.tracking.store import open_store

START_S = 120.0  # 8 s on an idle machine


@pytest.fixture
def server(project_with_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the empty store of the project as `make ui` does; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    command = ui.command(f"sqlite:///{project_with_store}/mlflow.db", port)
    with Path("server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"{address}/health", process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, Path("server.log").read_text(encoding="utf-8")
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (on this machine)
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(url)


@pytest.mark.slow
def test_a_server_holds_the_record_and_shows_it(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    model_dir, results_dir = Path("models/lenet"), Path("results/lenet")
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(model_dir, Path("view"), seed=7)
    files.write_json(results_dir / "metrics.json", {"test/accuracy": 0.75})
    wanted = {f"{7:064x}": results_digest(model_dir, results_dir)}
    assert not is_recorded(wanted)

    run_id = ensure_run(model_dir, results_dir)
    assert is_recorded(wanted)
    assert not is_recorded({"another": None})
    run = open_store().client.get_run(run_id)
    assert run.data.metrics["test/accuracy"] == 0.75
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert {a.path for a in open_store().client.list_artifacts(run_id)} == {"metrics.json"}
    with urllib.request.urlopen(f"{server}/", timeout=30) as page:  # noqa: S310 (on this machine)
        assert b"<title>MLflow</title>" in page.read()


def test_where_a_server_exists_none_is_started(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example.org")
    ui.serve(5000)
    assert "https://tracking.example.org" in capsys.readouterr().err
