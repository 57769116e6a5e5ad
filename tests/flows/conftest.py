"""One real Prefect server for all tests of flows: its start takes 15 to 40 s."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tracking.mlflow_servers import free_port

START_S = 180.0


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for PREFECT_HOME of the server and of whatever talks to it: never the user's own."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> Iterator[str]:
    """Start a server with a database of its own, and return the address of its API.

    Only what is given PREFECT_API_URL and PREFECT_HOME talks to it: this process's environment is left alone.
    """
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    log = prefect_home / "server.log"
    settings = {
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{prefect_home / 'prefect.db'}",
        "PREFECT_UI_API_URL": api,
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as file:
        server = subprocess.Popen(
            command,
            cwd=prefect_home,  # a prefect.toml of the working folder would have its say
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        _wait_for(f"{api}/health", server, log)
        yield api
    finally:
        _end(server)


def _wait_for(health: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_S
    while not _answers(health):
        said = log.read_text(encoding="utf-8", errors="replace")
        assert server.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (on this machine)
    except OSError:
        return False
    return True


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server, and what is left of its group."""
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(10.0)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
