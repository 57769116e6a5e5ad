"""Prefect's and MLflow's servers of a team, on this machine alone, with their pools and deployments."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.process import ProcessWorker

from cnnpipe.errors import CnnpipeError, StorageError

HOST: Final = "127.0.0.1"
POOLS: Final = ("cpu", "gpu")
DEPLOYMENTS: Final = "prefect.yaml"
_START_S: Final = 120.0
_STOP_S: Final = 10.0
_POLL_S: Final = 0.5
_ANSWER_S: Final = 2.0


class _Server(msgspec.Struct, frozen=True):
    """One server: how it is started, and how it tells that it is up."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: str


def serve(folder: Path, *, prefect_port: int, mlflow_port: int, say: Callable[[str], None]) -> None:
    """Run both servers until Ctrl-C; make their pools, and deploy the flows of the working folder.

    A server that answers on its port already is taken as it is.

    Args:
        folder: of their databases, artifacts and logs.
        prefect_port: on 127.0.0.1.
        mlflow_port: on 127.0.0.1.
        say: told where they are, and what to type next.

    Raises:
        StorageError: a server does not start; its log says why.
        CnnpipeError: one has ended, or the flows cannot be deployed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    api, tracking = f"http://{HOST}:{prefect_port}/api", f"http://{HOST}:{mlflow_port}"
    wanted = (_prefect(folder, prefect_port), _mlflow(folder, mlflow_port))
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for server in wanted:
            if _answers(server.health):
                say(f"{server.name} answers already: {server.health.rpartition('/')[0]}")
            else:
                started[server.name] = _start(server, folder / f"{server.name}.log")
        for server in wanted:
            _wait_for(server, started.get(server.name), folder / f"{server.name}.log")
        _make_pools(api)
        deploy(api, say)
        say(_next_steps(api, tracking))
        while started:
            time.sleep(_POLL_S)
            for name, process in started.items():
                if process.poll() is not None:
                    what = f"has ended with {process.returncode}"
                    raise CnnpipeError(f"the {name} server", what, f"see {folder / name}.log")
    finally:
        _stop(started.values())


def deploy(api: str, say: Callable[[str], None]) -> None:
    """Deploy what prefect.yaml of the working folder names.

    Raises:
        CnnpipeError: Prefect refuses it.
    """
    if not Path(DEPLOYMENTS).exists():
        say(f"there is no {DEPLOYMENTS} here, so nothing is deployed")
        return
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        command, env={**os.environ, "PREFECT_API_URL": api}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CnnpipeError(DEPLOYMENTS, " ".join((done.stdout + done.stderr).split())[-600:], "correct it")
    say(f"deployed what {DEPLOYMENTS} names: `prefect deployment ls`")


def require(name: str, health: str) -> None:
    """Raise StorageError when a server does not answer."""
    if not _answers(health):
        fix = f"start it with `cnnpipe server`, or name it in {name}"
        raise StorageError(health, "no server answers", fix)


def _prefect(folder: Path, port: int) -> _Server:
    database = f"sqlite+aiosqlite:///{folder.absolute() / 'prefect.db'}"
    address = f"http://{HOST}:{port}"
    return _Server(
        "prefect",
        (sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)),
        {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database, "PREFECT_UI_API_URL": f"{address}/api"},
        f"{address}/api/health",
    )


def _mlflow(folder: Path, port: int) -> _Server:
    where = ("--host", HOST, "--port", str(port), "--workers", "2")
    store = ("--backend-store-uri", f"sqlite:///{folder.absolute() / 'mlflow.db'}")
    artifacts = ("--artifacts-destination", str(folder.absolute() / "mlartifacts"))
    return _Server(
        "mlflow",
        (sys.executable, "-m", "mlflow", "server", *where, *store, *artifacts),
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # its queue for language models: more processes
        f"http://{HOST}:{port}/health",
    )


def _start(server: _Server, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            server.command,
            env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours: the pages stay up until we say so
        )


def _wait_for(server: _Server, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not _answers(server.health):
        if process is not None and process.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
            raise StorageError(f"the {server.name} server", f"does not start: {last}", f"see {log}")
        if time.monotonic() > deadline:
            raise StorageError(f"the {server.name} server", f"is not up after {_START_S:.0f} s", f"see {log}")
        time.sleep(_POLL_S)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=_ANSWER_S).close()  # noqa: S310 (loopback, or the user's own words)
    except urllib.error.HTTPError as refusal:  # one with a password
        refusal.close()
        return refusal.code in (401, 403)
    except (OSError, ValueError):
        return False
    return True


def _make_pools(api: str) -> None:
    template = ProcessWorker.get_default_base_job_template()
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        for name in POOLS:
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))


def _stop(processes: Collection[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def _next_steps(api: str, tracking: str) -> str:
    return f"""
Prefect: {api.removesuffix("/api")}    MLflow: {tracking}    (Ctrl-C ends both)

In each other terminal, in this folder:
  export PREFECT_API_URL={api} MLFLOW_TRACKING_URI={tracking}
then
  cnnpipe worker --pool cpu                 # or gpu: a worker on this machine
  prefect deployment run pipeline/cpu       # run the graph on it"""
