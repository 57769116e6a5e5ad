"""The MLflow store: reached or refused within seconds, created once."""

import fcntl
import logging
import os
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cnnpipe.errors import StorageError
from cnnpipe.tracking import place

_REACH_S: Final = 5.0
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
    # MLflow's own 7 retries take minutes; nothing here is lost when a store is away for longer
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:  # it tells of every table and thread
        logging.getLogger("mlflow").setLevel(logging.WARNING)
    database = place.sqlite_file(uri)
    with reported(uri):
        if database is None:
            _reach(uri)
            return _open(uri, artifacts=None)
        with _lock(database):
            _try(database)
            return _open(uri, artifacts=(database.parent / "mlartifacts").as_uri())


@contextmanager
def reported(uri: str) -> Iterator[None]:
    """Turn what goes wrong with the store at `uri` into an error with a way out.

    Raises:
        StorageError: in place of whatever MLflow raised.
    """
    try:
        yield
    except (MlflowException, OSError, sqlite3.Error) as error:
        what = f"the MLflow store does not answer: {str(error).strip().splitlines()[0]}"
        raise StorageError(uri, what, _fix(uri)) from error


def _fix(uri: str) -> str:
    if place.sqlite_file(uri) is not None:
        return (
            "check that the folder can be written; after a change of MLflow's version run "
            f"`mlflow db upgrade {uri}`; or move the file away: `cnnpipe record` builds its runs again"
        )
    return "start the server, or correct or unset MLFLOW_TRACKING_URI; then run the command again"


def _reach(uri: str) -> None:
    """Ask an http server for anything at all: an answer of any kind will do."""
    if uri.startswith(("http://", "https://")):
        try:
            urllib.request.urlopen(uri, timeout=_REACH_S).close()  # noqa: S310 (the scheme is checked)
        except urllib.error.HTTPError as answer:
            answer.close()


@contextmanager
def _lock(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try(database: Path) -> None:
    """Begin to write, and leave it at that: MLflow would try a database that cannot be had for 100 s."""
    with closing(sqlite3.connect(database, timeout=_REACH_S)) as connection:
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
