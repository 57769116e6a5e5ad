"""A real MLflow server on this machine: the same record as in a database, and pages that answer."""

import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from bundles import make_bundle, make_view
from tracking.mlflow_servers import MlflowServer

from cnnpipe import files
from cnnpipe.errors import StorageError
from cnnpipe.tracking import rest, ui
from cnnpipe.tracking.projection import ensure_run
from cnnpipe.tracking.quick import is_recorded, results_digest
from cnnpipe.tracking.store import open_store


@pytest.fixture
def server(project_with_store: Path) -> Iterator[MlflowServer]:
    """Serve the empty store of the project as `cnnpipe ui` does."""
    server = MlflowServer(project_with_store)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def listening(pids: Iterable[int]) -> set[str]:
    """Return the addresses that processes listen on."""
    found = (psutil.Process(pid).net_connections("tcp") for pid in pids)
    return {each.laddr.ip for of_one in found for each in of_one if each.status == psutil.CONN_LISTEN}


@pytest.mark.slow
def test_a_server_holds_the_record_and_shows_it(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
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
    with urllib.request.urlopen(f"{server.address}/", timeout=30) as page:  # noqa: S310 (on this machine)
        assert b"<title>MLflow</title>" in page.read()
    assert listening(server.processes()) == {"127.0.0.1"}


def test_where_a_server_exists_none_is_started(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example.org")
    ui.serve(5000)
    assert "https://tracking.example.org" in capsys.readouterr().err


def test_a_password_is_neither_told_nor_in_the_list_of_processes(
    project_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _path, words: started.append(words))
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")  # to be put back
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "")
    for uri in ("http://me:secret@tracking.example.org", "postgresql://me:secret@127.0.0.1/mlflow"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        ui.serve(5000)
    assert len(started) == 1
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"
    assert "secret" not in f"{started}{capsys.readouterr()}"


@pytest.fixture
def guarded_server(project_with_store: Path) -> Iterator[MlflowServer]:
    """Serve the store to two users who have a password, as docs/mlflow-server.md tells."""
    pytest.importorskip("flask_wtf", reason="needs mlflow[auth]")
    settings = project_with_store / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
        f"database_uri = sqlite:///{project_with_store}/auth.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        encoding="utf-8",
    )
    names = {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_PASSWORD": "a-long-password-0",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "no secret in a test",
    }
    server = MlflowServer(project_with_store, environment=names, more_words=["--app-name", "basic-auth"])
    try:
        server.start()
        admin = server.address.replace("//", "//admin:a-long-password-0@")
        for user in ("ann", "ben"):
            query = {"username": user, "password": f"the-password-of-{user}"}
            rest.ask(f"{admin}/api/2.0/mlflow/users/create", query)
        yield server
    finally:
        server.kill()


@pytest.mark.slow
def test_a_server_with_passwords_lets_in_who_has_one(
    guarded_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded_server.address)
    model_dir = Path("models/lenet")
    make_view(Path("view"), pictures_per_split=2)
    make_bundle(model_dir, Path("view"), seed=7)
    with pytest.raises(StorageError, match="refuses") as refused:
        ensure_run(model_dir, None)
    assert "MLFLOW_TRACKING_PASSWORD" in refused.value.fix
    for user, is_let_in in (("ann", True), ("ben", False)):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", f"the-password-of-{user}")
        if is_let_in:
            ensure_run(model_dir, None)
        assert is_recorded({f"{7:064x}": None}) is is_let_in
