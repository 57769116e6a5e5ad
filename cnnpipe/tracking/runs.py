"""The runs of this project in the store: made, found, taken up again, closed, and one for each training."""

import getpass
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec
from mlflow.entities import DatasetInput, Metric, Param, Run
from mlflow.exceptions import MlflowException

from cnnpipe.tracking import processes
from cnnpipe.tracking.names import mlflow_name
from cnnpipe.tracking.place import DOUBLE_OF, EXPERIMENT, PROJECTED, SIGNATURE
from cnnpipe.tracking.provenance import data_hash, dataset_input, git_tags
from cnnpipe.tracking.store import Store, first_line

_logger = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]
_MAX_PARAMS: Final = 100  # of MLflow, in one call
_MAX_METRICS: Final = 1000
_FIND_MAX: Final = 1000
_CONFLICT: Final = "BAD_REQUEST"  # MLflow's word for a row that its database refuses


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a training before its first epoch; the names are those of `RunRecord`."""

    signature: str
    experiment: str
    task: str
    network: str
    num_parameters: int
    params: Mapping[str, Any]  # flattened with dots
    inputs: Mapping[str, str]  # path of an input -> sha256
    code: str


def create_run(
    store: Store, training: Training, tags: Mapping[str, str], *, started_ms: int | None = None
) -> str:
    """Create a RUNNING run with what is known before the first epoch, and return its id."""
    known = {
        SIGNATURE: training.signature,
        EXPERIMENT: training.experiment,
        "cnnpipe.task": training.task,
        "cnnpipe.network": training.network,
        "cnnpipe.code": training.code,
        "cnnpipe.data_hash": data_hash(training.inputs),
        "mlflow.source.name": f"cnnpipe train {training.experiment}",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "mlflow.note.content": _description(training),
    }
    all_tags = {**known, **git_tags(), **tags}
    created = store.client.create_run(
        store.experiment_id, started_ms, tags=all_tags, run_name=training.experiment
    )
    describe_run(store, created, training)
    return str(created.info.run_id)


def describe_run(store: Store, run: Run, training: Training) -> None:
    """Add params and data to a run; one that was broken off between these steps gets what it lacks."""
    run_id = run.info.run_id
    params = {"network": training.network, "task": training.task, **training.params}
    params["num_parameters"] = training.num_parameters
    named = {mlflow_name(key): _text(value) for key, value in sorted(params.items())}
    lacking = [Param(key, value) for key, value in named.items() if key not in run.data.params]
    for start in range(0, len(lacking), _MAX_PARAMS):
        store.client.log_batch(run_id, params=lacking[start : start + _MAX_PARAMS])
    if run.inputs is None or not run.inputs.dataset_inputs:
        _log_data(store, run_id, dataset_input(training.inputs))


def _log_data(store: Store, run_id: str, data: DatasetInput) -> None:
    """Add data to a run, also when another run adds the same data, new to the store, at this moment.

    MLflow looks whether it knows the data, and then inserts them; where another was first between these steps
    it refuses. The second time they are known.
    """
    try:
        store.client.log_inputs(run_id, [data])
    except MlflowException as error:
        if error.error_code != _CONFLICT:
            raise
        store.client.log_inputs(run_id, [data])


def close_abandoned(store: Store, *, keep: Run | None = None) -> None:
    """End as KILLED every RUNNING run of this project whose process is gone, but `keep`."""
    for run in find_runs(store, "attributes.status = 'RUNNING'"):
        if processes.is_gone(run.data.tags) and (keep is None or run.info.run_id != keep.info.run_id):
            store.client.set_terminated(run.info.run_id, "KILLED")


def former_run(store: Store, signature: str) -> Run | None:
    """Return the latest run of a training that no other process feeds now.

    It has ended, or a dead process has left it behind, or this process has made it: an answer may have got
    lost on its way.
    """
    runs = find_runs(store, _of(signature))
    free = (run for run in runs if not _is_fed_elsewhere(run))
    return next(free, None)


def keep_one(store: Store, signature: str) -> str | None:
    """Let one finished run of a training stay, put its doubles into MLflow's bin; return the id of that one.

    Doubles come of two hosts that train the same at once, and of a server that creates a run but is too late
    with its answer. That stays which holds results, or else was first to finish: every process comes to the
    same answer. A run that another process feeds is left to that process.

    Returns:
        None: there is no finished run.
    """
    runs = find_runs(store, _of(signature))
    finished = [run for run in runs if run.info.status == "FINISHED" and DOUBLE_OF not in run.data.tags]
    if not finished:
        return None
    kept = str(min(finished, key=_rank).info.run_id)
    for run in runs:
        if run.info.run_id != kept and not _is_fed_elsewhere(run) and DOUBLE_OF not in run.data.tags:
            _bin(store, run.info.run_id, kept)
    return kept


def _bin(store: Store, run_id: str, kept: str) -> None:
    try:
        store.client.set_tag(run_id, DOUBLE_OF, kept)
        store.client.delete_run(run_id)
    except MlflowException as error:  # on a server with authentication, only an owner may
        _logger.warning(
            "run %s is a double of %s and could not be deleted: %s", run_id, kept, first_line(error)
        )


def _rank(run: Run) -> tuple[bool, int, str]:
    return PROJECTED not in run.data.tags, run.info.end_time or 0, run.info.run_id


def _of(signature: str) -> str:
    return f"tags.`{SIGNATURE}` = '{signature}'"


def _is_fed_elsewhere(run: Run) -> bool:
    tags = run.data.tags
    return run.info.status == "RUNNING" and not processes.is_gone(tags) and not processes.is_own(tags)


def logged_steps(store: Store, run_id: str) -> frozenset[int]:
    """Return the steps whose epoch the run holds already."""
    return frozenset(metric.step for metric in store.client.get_metric_history(run_id, "epoch"))


def find_runs(store: Store, condition: str) -> list[Run]:
    """Return the runs of this project that fulfil a condition in MLflow's words, the latest first."""
    found = store.client.search_runs(
        [store.experiment_id], condition, max_results=_FIND_MAX, order_by=["attributes.start_time DESC"]
    )
    return list(found)


def log_metrics(
    store: Store, run_id: str, metrics: list[Metric], *, on_part: Callable[[], None] = lambda: None
) -> None:
    """Log any number of metrics; `on_part` is called after each part of them."""
    for start in range(0, len(metrics), _MAX_METRICS):
        store.client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])
        on_part()


def to_metrics(metrics: Mapping[str, float | None], step: int, *, time_ms: int | None = None) -> list[Metric]:
    """Return metrics by name as MLflow's; `step` itself is none.

    The number of the epoch comes last: a run that holds it holds the epoch (`logged_steps`).

    Args:
        metrics: name -> value; None is not a number.
        step: the epoch's last optimiser step.
        time_ms: since 1970; None: this moment.
    """
    moment = int(time.time() * 1000) if time_ms is None else time_ms
    return [
        Metric(mlflow_name(name), float("nan") if value is None else float(value), moment, step)
        for name, value in sorted(metrics.items(), key=lambda item: item[0] == "epoch")
        if name != "step"
    ]


def _description(training: Training) -> str:
    return (
        f"`{training.experiment}`: {training.network} ({training.num_parameters:,} parameters), "
        f"{training.task}. Signature `{training.signature[:12]}`."
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _user() -> str:
    with suppress(OSError, KeyError):  # a container may have no entry for its user
        return getpass.getuser()
    return "unknown"
