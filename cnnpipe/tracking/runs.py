"""The run of a training: opened before it, fed off the training thread, always closed."""

import getpass
import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from cnnpipe.tracking import processes
from cnnpipe.tracking.names import mlflow_name
from cnnpipe.tracking.place import EXPERIMENT, ORIGIN, SIGNATURE, STOP_REASON
from cnnpipe.tracking.provenance import data_hash, dataset_input, git_tags
from cnnpipe.tracking.store import Store, open_store, reported

_logger = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]
_MAX_PARAMS: Final = 100  # of MLflow, in one call
_MAX_METRICS: Final = 1000
_FIND_MAX: Final = 1000


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


class ActiveRun:
    """The open run of one training, as a context manager.

    It ends FINISHED, KILLED on Ctrl-C and SIGTERM, or FAILED. A store that goes away meanwhile stops no
    training: what could not be sent is kept and sent at the end, and if that fails too it is said once;
    `record` rebuilds the run from the files later.

    Args:
        store: the open store.
        run_id: the run to feed; it must be RUNNING.
        logged_steps: steps that a former process has logged; they are not logged twice.
    """

    def __init__(self, store: Store, run_id: str, logged_steps: frozenset[int] = frozenset()) -> None:
        self.run_id = run_id
        self._store = store
        self._logged_steps = logged_steps
        self._waiting: list[Metric] = []
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow-sender")
        self._said = False
        self._ended = False
        self._monitor = _monitor(store, run_id)

    def log_epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Hand over the metrics of one epoch and return at once; a step logged before is left out.

        Args:
            metrics: name -> value: a line of history.jsonl, and what only MLflow gets: time/epoch_seconds,
                images_per_second.
            step: the epoch's last optimiser step, the x axis of MLflow's charts.
        """
        if step not in self._logged_steps:
            self._sender.submit(self._send, to_metrics(metrics, step))

    def finish(self, status: Status, *, stop_reason: str | None = None) -> None:
        """Send what waits, and close the run. A second call does nothing."""
        if self._ended:
            return
        self._ended = True
        self._sender.shutdown(wait=True)
        self._monitor.finish()  # type: ignore[no-untyped-call]
        client = self._store.client
        try:
            log_metrics(self._store, self.run_id, self._waiting)
            if stop_reason is not None:
                client.set_tag(self.run_id, STOP_REASON, stop_reason)
            client.set_terminated(self.run_id, status)
        except (MlflowException, OSError) as error:
            _logger.warning(
                "run %s could not be closed in the MLflow store %s: %s\n  fix: nothing is lost; "
                "`cnnpipe record` completes it from the files when the store answers again",
                *(self.run_id, self._store.uri, error),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the run by how the block ended, unless `finish` did."""
        if kind is None:
            self.finish("FINISHED")
        elif issubclass(kind, Exception):
            self.finish("FAILED")
        else:  # KeyboardInterrupt, or SystemExit from a signal
            self.finish("KILLED")

    def _send(self, metrics: list[Metric]) -> None:
        """Log what waits; what fails goes on waiting. Runs on the sender's thread alone."""
        self._waiting += metrics
        try:
            log_metrics(self._store, self.run_id, self._waiting)
            self._waiting = []
        except (MlflowException, OSError) as error:
            if not self._said:
                self._said = True
                _logger.warning("the MLflow store does not answer, metrics wait in memory: %s", error)


def start_run(training: Training, *, device: str) -> ActiveRun:
    """Open the run of a training, in MLflow beside the files, and close those that a dead process left.

    A training has one run: that of the same signature is taken up again under its own id, however it ended,
    for the same signature gives the same numbers. So a training that DVC runs again because it was killed
    before it could note the end leaves no second run. Every other RUNNING run of this project whose process
    is gone ends as KILLED.

    Args:
        training: what is about to be trained.
        device: e.g. cpu or cuda:0.

    Raises:
        StorageError: the store cannot be reached.
    """
    store = open_store()
    with reported(store.uri):
        former = former_run(store, training.signature)
        close_abandoned(store, keep=former)
        if former is None:
            run_id = create_run(
                store, training, {**processes.own_tags(), ORIGIN: "trained", "cnnpipe.device": device}
            )
            return ActiveRun(store, run_id)
        run_id = former.info.run_id
        store.client.update_run(run_id, "RUNNING")
        tags = {**processes.own_tags(), **git_tags(), ORIGIN: "trained", "cnnpipe.device": device}
        store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        return ActiveRun(store, run_id, logged_steps(store, run_id))


def create_run(store: Store, training: Training, tags: Mapping[str, str]) -> str:
    """Create a RUNNING run with what is known before the first epoch, and return its id."""
    client = store.client
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
    run_id = str(
        client.create_run(store.experiment_id, tags=all_tags, run_name=training.experiment).info.run_id
    )
    params = {"network": training.network, "task": training.task, **training.params}
    params["num_parameters"] = training.num_parameters
    logged = [Param(mlflow_name(key), _text(value)) for key, value in sorted(params.items())]
    for start in range(0, len(logged), _MAX_PARAMS):
        client.log_batch(run_id, params=logged[start : start + _MAX_PARAMS])
    client.log_inputs(run_id, [dataset_input(training.inputs)])
    return run_id


def close_abandoned(store: Store, *, keep: Run | None = None) -> None:
    """End as KILLED every RUNNING run of this project whose process is gone, but `keep`."""
    for run in find_runs(store, "attributes.status = 'RUNNING'"):
        if processes.is_gone(run.data.tags) and (keep is None or run.info.run_id != keep.info.run_id):
            store.client.set_terminated(run.info.run_id, "KILLED")


def former_run(store: Store, signature: str) -> Run | None:
    """Return the latest run of a training that no process feeds now: ended, or left behind by a dead one."""
    runs = find_runs(store, f"tags.`{SIGNATURE}` = '{signature}'")
    ended = (run for run in runs if run.info.status != "RUNNING" or processes.is_gone(run.data.tags))
    return next(ended, None)


def logged_steps(store: Store, run_id: str) -> frozenset[int]:
    """Return the steps whose epoch the run holds already."""
    return frozenset(metric.step for metric in store.client.get_metric_history(run_id, "epoch"))


def find_runs(store: Store, condition: str) -> list[Run]:
    """Return the runs of this project that fulfil a condition in MLflow's words, the latest first."""
    found = store.client.search_runs(
        [store.experiment_id], condition, max_results=_FIND_MAX, order_by=["attributes.start_time DESC"]
    )
    return list(found)


def log_metrics(store: Store, run_id: str, metrics: list[Metric]) -> None:
    """Log any number of metrics."""
    for start in range(0, len(metrics), _MAX_METRICS):
        store.client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])


def to_metrics(metrics: Mapping[str, float], step: int) -> list[Metric]:
    """Return metrics by name as MLflow's, at this moment; `step` itself is none."""
    now_ms = int(time.time() * 1000)
    return [
        Metric(mlflow_name(name), float(value), now_ms, step)
        for name, value in metrics.items()
        if name != "step"
    ]


def _monitor(store: Store, run_id: str) -> SystemMetricsMonitor:
    """Return a started thread that logs processor, memory, disk and network every ten seconds."""
    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=store.uri)  # type: ignore[no-untyped-call]
    monitor.start()  # type: ignore[no-untyped-call]
    return monitor


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
