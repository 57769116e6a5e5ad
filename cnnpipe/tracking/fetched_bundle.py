"""A bundle out of MLflow: of a run, of the registry, or of any artifact address."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cnnpipe.errors import ModelError, StorageError
from cnnpipe.models.bundle import MODEL_FILE
from cnnpipe.tracking import place
from cnnpipe.tracking.store import first_line, limit_mlflow, patience_for_files, reach, reported

_FIX: Final = (
    "name runs:/<run id>/model, models:/<name>/<version> or models:/<name>@<alias>, as the MLflow UI does"
)


@contextmanager
def fetched_bundle(address: str, *, fix: str = _FIX) -> Iterator[Path]:
    """Yield the folder of model.json and weights.safetensors at an address of MLflow, for the block.

    Args:
        address: runs:/<run id>/model, models:/<name>/<version>, models:/<name>@<alias>,
            mlflow-artifacts:/… or the address of a folder that MLflow can read.
        fix: what is said to do where it is none.

    Raises:
        StorageError: there is no store, or it does not answer.
        ModelError: it knows no such model, or that is not one of cnnpipe's.
    """
    uri = place.tracking_uri()
    database = place.sqlite_file(uri)
    if database is not None and not database.exists():  # MLflow would make an empty one
        way_out = "run in the folder of the project, or set MLFLOW_TRACKING_URI"
        raise StorageError(place.shown(uri), "there is no such MLflow store", way_out)
    limit_mlflow()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with reported(uri):
        reach(uri)
        MlflowClient(uri).search_experiments(max_results=1)  # whether it answers at all
    with tempfile.TemporaryDirectory(prefix="cnnpipe-") as folder:
        try:
            with patience_for_files():
                mlflow.artifacts.download_artifacts(
                    artifact_uri=address, dst_path=folder, tracking_uri=uri, registry_uri=uri
                )
        except (MlflowException, OSError, ValueError) as error:  # the last, of an address of another server
            what = f"cannot be had from {place.shown(uri)}: {_first_line(error)}"
            raise ModelError(place.shown(address), what, fix) from error
        found = sorted(Path(folder).rglob(MODEL_FILE))
        if not found:
            what = f"holds no {MODEL_FILE}: it is not a model of cnnpipe"
            raise ModelError(place.shown(address), what, fix)
        yield found[0].parent


def _first_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", first_line(error))
