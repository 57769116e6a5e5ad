"""The MLflow store: reached or refused within seconds, created once."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cnnpipe.errors import StorageError
from cnnpipe.tracking import place, rest

_LOCKED_S: Final = 5.0  # how long a database may be another's
# MLflow's own 7 retries of 120 s would hold a training's end for minutes; nothing here is lost when a store
# is away for longer. Together they stay below the 15 s in which a training is to fail where that is asked.
_LIMITS: Final = MappingProxyType(
    {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        # of the run that it closes, with the password that may be in the store's
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
)
_REFUSALS: Final = ("UNAUTHENTICATED", "PERMISSION_DENIED")  # MLflow's words for 401 and 403
_PRELUDE: Final = "(raised as a result of "  # SQLAlchemy's, before what is wrong: how it came to write
_FULL: Final = "disk is full"  # SQLite's words
_FILES_TIMEOUT_S: Final = "120"  # a server may first bring a file to its own remote place
# MLflow shows the pages of training, not those of language models
_EXPERIMENT_TAGS: Final = MappingProxyType({"mlflow.experimentKind": "custom_model_development"})


class Store(msgspec.Struct, frozen=True):
    """An open store, and this project's experiment in it."""

    client: MlflowClient
    uri: str
    experiment_id: str


def open_store() -> Store:
    """Return the store of this project; its database, tables and experiment are created when missing.

    Any number of processes may open a new store at once: a database of MLflow does not bear that, so they
    queue for a lock beside it.

    Raises:
        StorageError: the store cannot be reached, read or created.
    """
    uri = place.tracking_uri()
    limit_mlflow()
    database = place.sqlite_file(uri)
    with reported(uri):
        if database is None:
            reach(uri)
            return _open(uri, artifacts=None)
        with _lock(database):
            _try(database)
            return _open(uri, artifacts=(database.parent / "mlartifacts").as_uri())


def limit_mlflow() -> None:
    """Let MLflow give up within seconds, and speak of what matters alone; what the user has set stays."""
    for name, value in _LIMITS.items():
        os.environ.setdefault(name, value)
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:  # it tells of every table and thread
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        # it logs what its database cannot do with a traceback, and raises it as well: that is told here
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # every retry is a warning there


def reach(uri: str) -> None:
    """Look whether a store on a server answers at all.

    Raises:
        OSError: it does not, within seconds.
    """
    if uri.startswith(("http://", "https://")):
        rest.reach(uri)


@contextmanager
def patience_for_files() -> Iterator[None]:
    """Give a server time for the files that it is sent in the block; what the user has set stays."""
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    before = os.environ.get(name)
    if before == _LIMITS[name]:
        os.environ[name] = _FILES_TIMEOUT_S
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before


@contextmanager
def reported(uri: str) -> Iterator[None]:
    """Turn what goes wrong with the store at `uri` into an error with a way out, and without a password.

    Raises:
        StorageError: in place of whatever MLflow raised.
    """
    try:
        yield
    except (MlflowException, OSError, sqlite3.Error) as error:
        raise unreachable(uri, error) from error


def unreachable(uri: str, error: BaseException) -> StorageError:
    """Return the error of a store that does not do what it is asked."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, MlflowException) and error.error_code in _REFUSALS:
        fix = (
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; or have "
            "the right to edit this project's experiment given to you"
        )
        return StorageError(place.shown(uri), f"the MLflow store refuses: {first_line(error)}", fix)
    what = f"the MLflow store does not answer: {first_line(error)}"
    if _FULL in what:
        return StorageError(place.shown(uri), what, "free some space; then run the command again")
    return StorageError(place.shown(uri), what, _fix(uri))


def first_line(error: BaseException) -> str:
    """Return what an error of MLflow says, without the passwords in the addresses it names."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(_PRELUDE)]
    return place.shown(lines[0]) if lines else type(error).__name__


def _fix(uri: str) -> str:
    if place.sqlite_file(uri) is not None:
        return (
            "check that the folder can be written; after a change of MLflow's version run "
            f"`mlflow db upgrade {place.shown(uri)}`; "
            "or move the file away: `cnnpipe register` builds its runs again"
        )
    return "start the server, or correct or unset MLFLOW_TRACKING_URI; then run the command again"


@contextmanager
def _lock(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try(database: Path) -> None:
    """Begin to write, and leave it at that: MLflow would try a database that cannot be had for 100 s."""
    with closing(sqlite3.connect(database, timeout=_LOCKED_S)) as connection:
        connection.execute("BEGIN IMMEDIATE")


def _open(uri: str, *, artifacts: str | None) -> Store:
    client = MlflowClient(uri)
    name = place.project()
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return Store(client, uri, client.create_experiment(name, artifacts, dict(_EXPERIMENT_TAGS)))
        except MlflowException:  # on a server, another process may have been first
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":  # in MLflow's UI; its name stays taken
        client.restore_experiment(experiment.experiment_id)
    return Store(client, uri, experiment.experiment_id)
