"""What the doctor says of Prefect's server."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tracking.mlflow_servers import free_port

from cnnpipe.projects.checks.prefect_server import check_prefect

FACTS: Any = None  # this check asks nothing of them


@pytest.fixture
def answering() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # 501 to everything
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


def said(monkeypatch: pytest.MonkeyPatch, api: str | None) -> tuple[str, str]:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if api is not None:
        monkeypatch.setenv("PREFECT_API_URL", api)
    (result,) = check_prefect(FACTS)
    return result.state, result.found


def test_no_server_named_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    status, message = said(monkeypatch, None)
    assert status == "note"
    assert "starts a server of its own" in message


def test_a_server_that_answers_is_fine(monkeypatch: pytest.MonkeyPatch, answering: str) -> None:
    assert said(monkeypatch, answering)[0] == "ok"


def test_a_server_that_is_away_hinders_flows_and_its_password_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, message = said(monkeypatch, f"http://me:s3cret@127.0.0.1:{free_port()}/api")
    assert status == "warning"
    assert "does not answer" in message
    assert "s3cret" not in message


def test_another_kind_of_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, "127.0.0.1:4200")[0] == "warning"
