"""MLflow's store: where it is, whether it answers, and which runs a dead process left open."""

import os
import socket
import sqlite3
import urllib.parse
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from cnnpipe.errors import StorageError
from cnnpipe.projects.checks import processes, servers
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.results import Result, error, note, ok, warning
from cnnpipe.tracking import place, rest

_CHECK: Final = "tracking store"
_RUNS_CHECK: Final = "open runs"
_LOCKED_S: Final = 5.0

# The tags by which a run names its process. They stand in `tracking.processes` too, which needs psutil: the
# doctor works where only the smallest installation is.
HOST: Final = "cnnpipe.host"
PID: Final = "cnnpipe.pid"
STARTED: Final = "cnnpipe.process_started"
_SAME_START_S: Final = 10.0  # a clock that is set right moves the start that the system tells

# Source: the tables of mlflow 3.17, store/tracking/dbmodels/models.py.
_NUM_RUNS: Final = """
    SELECT count(*) FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
    WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'
"""
_OPEN_RUNS: Final = """
    SELECT runs.run_uuid, runs.name, tags.key, tags.value
    FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
    LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key IN (?, ?, ?)
    WHERE experiments.name = ? AND runs.lifecycle_stage = 'active' AND runs.status = 'RUNNING'
    ORDER BY runs.start_time
"""


class _OpenRun(msgspec.Struct, frozen=True):
    """A run that is RUNNING, and the tags that name its process."""

    name: str
    tags: Mapping[str, str]


def check_store(_facts: Facts) -> list[Result]:
    """Look into the store of this project's runs, without changing it and without MLflow."""
    uri = place.tracking_uri()
    database = place.sqlite_file(uri)
    if database is not None:
        return _database(uri, database)
    if servers.is_http(uri):
        return _server(uri)
    if "://" not in uri or uri.startswith("file:"):
        fix = "unset MLFLOW_TRACKING_URI, or name sqlite:////absolute/path/mlflow.db or a server"
        return [
            error(
                _CHECK,
                f"{place.shown(uri)} is a store of plain files, which MLflow no longer takes",
                fix,
                StorageError,
            )
        ]
    return [note(_CHECK, f"{place.shown(uri)}: of a kind that is not looked into here")]


def _database(uri: str, database: Path) -> list[Result]:
    if not database.exists():
        return [_to_be_made(database)]
    try:
        with closing(_open(database)) as connection:
            name = place.project()
            ((num_runs,),) = connection.execute(_NUM_RUNS, (name,)).fetchall()
            rows = connection.execute(_OPEN_RUNS, (HOST, PID, STARTED, name)).fetchall()
    except sqlite3.Error as fault:
        fix = (
            f"after a change of MLflow's version: mlflow db upgrade {place.shown(uri)}; "
            "or move the file away: `cnnpipe register` builds its runs again"
        )
        return [error(_CHECK, f"{database} cannot be read: {fault}", fix, StorageError)]
    return [ok(_CHECK, f"{database}: {num_runs} runs of {name!r}"), *_judge(_open_runs(rows))]


def _to_be_made(database: Path) -> Result:
    folder = database.parent
    if folder.is_dir() and not os.access(folder, os.W_OK):
        return error(
            _CHECK, f"{folder} cannot be written", "give yourself the right to write there", StorageError
        )
    return ok(_CHECK, f"{database}: not there yet, the first training makes it")


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=_LOCKED_S)


def _open_runs(rows: Iterable[tuple[str, str, str | None, str | None]]) -> list[_OpenRun]:
    names: dict[str, str] = {}
    tags: dict[str, dict[str, str]] = {}
    for run_id, name, key, value in rows:
        names[run_id] = name or run_id
        tags.setdefault(run_id, {}).update({key: value or ""} if key else {})
    return [_OpenRun(name, tags[run_id]) for run_id, name in names.items()]


def _server(uri: str) -> list[Result]:
    shown = place.shown(uri)
    fault = servers.fault_of(uri)
    if fault:
        fix = "start the server, or correct or unset MLFLOW_TRACKING_URI"
        return [error(_CHECK, f"{shown} does not answer: {fault}", fix, StorageError)]
    try:
        runs = _open_runs_of_server(uri.rstrip("/"))
    except (OSError, ValueError, KeyError, TypeError):  # a new project, or a server with a password
        return [ok(_CHECK, f"{shown} answers; its runs were not looked at")]
    return [ok(_CHECK, f"{shown} answers"), *_judge(runs)]


def _open_runs_of_server(uri: str) -> list[_OpenRun]:
    """Source: MLflow's REST API 2.0, experiments/get-by-name and runs/search."""
    name = urllib.parse.quote(place.project())
    found = rest.ask(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    query = {
        "experiment_ids": [found["experiment"]["experiment_id"]],
        "filter": "attributes.status = 'RUNNING'",
        "max_results": 1000,
    }
    return [_of_server(run) for run in rest.ask(f"{uri}/api/2.0/mlflow/runs/search", query).get("runs", [])]


def _of_server(run: Any) -> _OpenRun:
    tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", ())}
    return _OpenRun(run["info"].get("run_name") or run["info"]["run_id"], tags)


def _judge(runs: Iterable[_OpenRun]) -> list[Result]:
    return [_judge_one(run) for run in runs]


def _judge_one(run: _OpenRun) -> Result:
    host, pid = run.tags.get(HOST, "an unknown host"), run.tags.get(PID, "?")
    if host != socket.gethostname():
        return note(_RUNS_CHECK, f"{run.name} is RUNNING on {host}, process {pid}: not looked at from here")
    if _is_fed(run.tags):
        return note(_RUNS_CHECK, f"{run.name} is RUNNING, fed by process {pid}")
    fix = "cnnpipe repro: the training goes on where it stopped, or the run ends as KILLED"
    return warning(_RUNS_CHECK, f"{run.name} is RUNNING, but its process {pid} is gone", fix)


def _is_fed(tags: Mapping[str, str]) -> bool:
    try:
        pid, started = int(tags[PID]), float(tags[STARTED])
    except (KeyError, ValueError):
        return False
    now = processes.started_at(pid) if processes.is_running(pid) else None
    return now is not None and abs(now - started) < _SAME_START_S
