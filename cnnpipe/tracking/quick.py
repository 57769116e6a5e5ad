"""Whether every run and champion is there, asked without MLflow, whose import alone takes three seconds.

An sqlite store is read through the standard library, a server is asked over HTTP. Whatever goes wrong here
means "not known to be there", and the slow and thorough way is taken.
"""

import hashlib
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from cnnpipe import files
from cnnpipe.models.bundle import MODEL_FILE
from cnnpipe.tracking import place, rest
from cnnpipe.tracking.names import model_name
from cnnpipe.training.records import RUN_FILE, RunRecord

METRICS_FILE: Final = "metrics.json"  # of results/<experiment>

# Source: the tables of mlflow 3.17, store/tracking/dbmodels/models.py.
_RUNS: Final = """
    SELECT signature.value, runs.status, projected.value
    FROM runs
    JOIN experiments ON experiments.experiment_id = runs.experiment_id
    JOIN tags AS signature ON signature.run_uuid = runs.run_uuid AND signature.key = ?
    LEFT JOIN tags AS projected ON projected.run_uuid = runs.run_uuid AND projected.key = ?
    WHERE experiments.name = ? AND runs.lifecycle_stage = 'active' ORDER BY runs.start_time
"""

_CHAMPION: Final = "SELECT 1 FROM registered_model_aliases WHERE name = ? AND alias = ?"


def results_digest(model_dir: Path, results_dir: Path) -> str:
    """Return the digest of what a run holds of an experiment: its results and its model.json."""
    digest = hashlib.sha256()
    for path in [model_dir / MODEL_FILE, *sorted(p for p in results_dir.rglob("*") if p.is_file())]:
        digest.update(f"{path.name}\0{files.sha256_of_file(path)}\0".encode())
    return digest.hexdigest()


def wanted_runs(models: Path, results: Path) -> dict[str, str | None]:
    """Return what the store should hold of the experiments below `models`, in the form of `is_recorded`.

    Raises:
        DataError: a run.json is broken.
    """
    folders = [path.parent for path in sorted(models.glob(f"*/{RUN_FILE}"))]
    return {
        files.read_json(folder / RUN_FILE, RunRecord).signature: _digest(folder, results / folder.name)
        for folder in folders
    }


def is_recorded(wanted: Mapping[str, str | None]) -> bool:
    """Whether each training has a finished run that holds its results, and no run is left RUNNING.

    Args:
        wanted: signature -> `results_digest`; None: not judged yet.
    """
    uri = place.tracking_uri()
    try:
        database = place.sqlite_file(uri)
        rows = _rows_of_server(uri) if database is None else _rows_of_database(database)
    except (OSError, sqlite3.Error, ValueError, KeyError, TypeError):
        return False
    if any(status == "RUNNING" for _, status, _ in rows):
        return False
    latest = {signature: projected for signature, status, projected in rows if status == "FINISHED"}
    return all(
        signature in latest and (digest is None or latest[signature] == digest)
        for signature, digest in wanted.items()
    )


def has_champions(tasks: Iterable[str]) -> bool:
    """Whether the registry has a champion of each task, whichever model that is."""
    models = [model_name(place.project(), task) for task in tasks]
    uri = place.tracking_uri()
    try:
        database = place.sqlite_file(uri)
        is_there = _is_in_server(uri) if database is None else _is_in_database(database)
        return all(is_there(model) for model in models)
    except (OSError, sqlite3.Error, ValueError, KeyError, TypeError):
        return False


def _digest(model_dir: Path, results_dir: Path) -> str | None:
    return results_digest(model_dir, results_dir) if (results_dir / METRICS_FILE).exists() else None


def _rows_of_database(database: Path) -> list[tuple[str, str, str | None]]:
    """Return (signature, status, digest) of every run of this project, the latest last."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        names = (place.SIGNATURE, place.PROJECTED, place.project())
        return connection.execute(_RUNS, names).fetchall()


def _is_in_database(database: Path) -> Callable[[str], bool]:
    def is_there(model: str) -> bool:
        if not database.exists():
            return False
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(_CHAMPION, (model, place.CHAMPION)).fetchone() is not None

    return is_there


def _is_in_server(uri: str) -> Callable[[str], bool]:
    def is_there(model: str) -> bool:
        query = urllib.parse.urlencode({"name": model, "alias": place.CHAMPION})
        found = rest.ask(
            f"{uri}/api/2.0/mlflow/registered-models/alias?{query}"
        )  # refused where there is none
        return bool(found["model_version"]["version"])

    return is_there


def _rows_of_server(uri: str) -> list[tuple[str, str, str | None]]:
    """Return the same from a server; of a larger project the latest 1,000 runs."""
    name = urllib.parse.quote(place.project())
    found = rest.ask(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    query = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000}
    runs = rest.ask(f"{uri}/api/2.0/mlflow/runs/search", query).get("runs", [])
    return [_row(run) for run in sorted(runs, key=lambda run: run["info"]["start_time"])]


def _row(run: Any) -> tuple[str, str, str | None]:
    tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", ())}
    return tags.get(place.SIGNATURE, ""), run["info"]["status"], tags.get(place.PROJECTED)
