"""The store of runs: databases and servers in every state, and runs that were left open."""

import http.server
import json
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnpipe.projects.checks import tracking_store
from cnnpipe.projects.checks.facts import Facts

TABLES = """
CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
CREATE TABLE runs (
    run_uuid TEXT, name TEXT, status TEXT, lifecycle_stage TEXT, start_time INTEGER, experiment_id INTEGER
);
CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT);
INSERT INTO experiments VALUES (1, 'shoes'), (2, 'other');
"""


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def shoes(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shoes")
    return project_dir


def add_run(
    database: Path, name: str, tags: dict[str, str], *, status: str = "RUNNING", project: int = 1
) -> None:
    with sqlite3.connect(database) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
            connection.executescript(TABLES)
        connection.execute("INSERT INTO runs VALUES (?, ?, ?, 'active', 1, ?)", (name, name, status, project))
        connection.executemany("INSERT INTO tags VALUES (?, ?, ?)", [(name, *pair) for pair in tags.items()])
    connection.close()


def of_process(pid: int, started: float = 0.0, host: str | None = None) -> dict[str, str]:
    return {
        tracking_store.HOST: host or socket.gethostname(),
        tracking_store.PID: str(pid),
        tracking_store.STARTED: str(started),
    }


def test_a_store_that_is_not_there_yet_is_well(shoes: Path) -> None:
    (result,) = tracking_store.check_store(Facts())
    assert result.state == "ok"
    assert f"{shoes}/mlflow.db: not there yet" in result.found
    assert not (shoes / "mlflow.db").exists()


def test_the_real_tables_of_mlflow_can_be_read(shoes: Path, empty_store: Path) -> None:
    from mlflow import MlflowClient  # 3 s, only here

    from cnnpipe.tracking import processes

    database = shoes / "mlflow.db"
    database.write_bytes(empty_store.read_bytes())
    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.create_experiment("shoes")
    client.create_run(experiment, run_name="lenet", tags=processes.own_tags())
    gone = {**processes.own_tags(), processes.PID: str(dead_pid())}
    client.create_run(experiment, run_name="lite0", tags=gone)
    done = client.create_run(experiment, run_name="old", tags=gone)
    client.set_terminated(done.info.run_id)
    store, *runs = tracking_store.check_store(Facts())
    assert (store.state, store.found) == ("ok", f"{database}: 3 runs of 'shoes'")
    assert [(run.state, run.found.split()[0]) for run in runs] == [("note", "lenet"), ("warning", "lite0")]
    assert "KILLED" in runs[1].fix


def test_open_runs_are_judged_by_their_process(shoes: Path) -> None:
    database = shoes / "mlflow.db"
    add_run(database, "elsewhere", of_process(1, host="gpu-3"))
    add_run(database, "reused", of_process(1, started=1000.0))
    add_run(database, "tagless", {tracking_store.HOST: socket.gethostname()})
    add_run(database, "foreign", {})
    add_run(database, "done", of_process(dead_pid()), status="FINISHED")
    add_run(database, "other", of_process(dead_pid()), project=2)
    _, *runs = tracking_store.check_store(Facts())
    assert [(run.found.split()[0], run.state) for run in runs] == [
        ("elsewhere", "note"),
        ("reused", "warning"),
        ("tagless", "warning"),
        ("foreign", "note"),
    ]


@pytest.mark.parametrize(
    "content", [b"", b"no database at all, but long enough to be one"], ids=["empty", "text"]
)
def test_a_database_that_is_none_is_an_error_of_storage(content: bytes, shoes: Path) -> None:
    (shoes / "mlflow.db").write_bytes(content)
    (result,) = tracking_store.check_store(Facts())
    assert (result.state, result.exit_code) == ("error", 7)
    assert "cannot be read" in result.found
    assert "cnnpipe register" in result.fix
    assert (shoes / "mlflow.db").read_bytes() == content


class Mlflow(http.server.BaseHTTPRequestHandler):
    """Answers as MLflow's REST API does; `runs` is None where it asks for a password."""

    runs: list[dict[str, Any]] | None = None

    def do_GET(self) -> None:
        self.answer({"experiment": {"experiment_id": "1"}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"runs": self.runs})

    def answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(401 if self.runs is None else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(shoes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mlflow) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{web.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield address
        web.shutdown()
        thread.join()


def test_open_runs_of_a_server_are_judged_too(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = [{"key": key, "value": value} for key, value in of_process(dead_pid()).items()]
    monkeypatch.setattr(
        Mlflow, "runs", [{"info": {"run_id": "7", "run_name": "lenet"}, "data": {"tags": tags}}]
    )
    store, run = tracking_store.check_store(Facts())
    assert (store.state, store.found) == ("ok", f"{server} answers")
    assert run.state == "warning"


def test_a_server_with_a_password_is_reached_and_no_more(server: str) -> None:
    (result,) = tracking_store.check_store(Facts())
    assert (result.state, result.found) == ("ok", f"{server} answers; its runs were not looked at")


def test_a_server_that_is_away_is_an_error_of_storage(shoes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    (result,) = tracking_store.check_store(Facts())
    assert (result.state, result.exit_code) == ("error", 7)
    assert "http://127.0.0.1:9 does not answer" in result.found
    assert "Connection refused" in result.found
    assert "secret" not in result.found


@pytest.mark.parametrize(
    ("uri", "state"), [("mlruns", "error"), ("file:///tmp/mlruns", "error"), ("postgresql://h/db", "note")]
)
def test_other_kinds_of_stores(uri: str, state: str, shoes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert [result.state for result in tracking_store.check_store(Facts())] == [state]
