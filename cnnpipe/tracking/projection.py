"""Runs as a projection of files: found by signature, or built from what a training and its judgement left."""

import fcntl
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow.entities import Metric, RunTag

from cnnpipe import files, paths
from cnnpipe.errors import StorageError
from cnnpipe.tracking import processes
from cnnpipe.tracking.logged_model import log_bundle
from cnnpipe.tracking.place import INCIDENTS, ORIGIN, PROJECTED, STOP_REASON
from cnnpipe.tracking.quick import METRICS_FILE, results_digest
from cnnpipe.tracking.runs import (
    Training,
    close_abandoned,
    create_run,
    describe_run,
    former_run,
    keep_one,
    log_metrics,
    logged_steps,
    to_metrics,
)
from cnnpipe.tracking.spool import Spool, ToldEpoch
from cnnpipe.tracking.store import Store, open_store, patience_for_files, reported
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord

_logger = logging.getLogger(__name__)


def ensure_run(model_dir: Path, results_dir: Path | None) -> str:
    """Return the id of the finished run of a training; build or complete it from files where need be.

    The run is found by the signature in run.json. Results are added once: a second call finds their digest
    on the run and does nothing. Of several processes one does the work, the others wait for it.

    Args:
        model_dir: models/<experiment> of a training that has ended.
        results_dir: results/<experiment>; None, or a folder without metrics.json: not judged yet.

    Raises:
        StorageError: the store cannot be reached.
        DataError: run.json, history.jsonl or metrics.json is missing or broken.
    """
    return ensure_runs([(model_dir, results_dir)])[0]


def ensure_runs(experiments: Iterable[tuple[Path, Path | None]]) -> list[str]:
    """Do as `ensure_run` for several experiments; end as KILLED every run that a dead process left RUNNING.

    Args:
        experiments: (model_dir, results_dir) of each.
    """
    store = open_store()
    run_ids = [_ensure(store, model_dir, results_dir) for model_dir, results_dir in experiments]
    with reported(store.uri):
        close_abandoned(store)
    return run_ids


def ensure_run_if_reachable(model_dir: Path, results_dir: Path | None) -> str | None:
    """Do as `ensure_run`, for a stage whose files are already written: no store is a warning, and None."""
    try:
        return ensure_run(model_dir, results_dir)
    except StorageError as error:
        _logger.warning("not recorded in MLflow, `cnnpipe register` will do it: %s", error)
        return None


def _ensure(store: Store, model_dir: Path, results_dir: Path | None) -> str:
    record = files.read_json(model_dir / RUN_FILE, RunRecord)
    with _one_at_a_time(record.signature), reported(store.uri):
        history = files.read_jsonl(model_dir / HISTORY_FILE, Epoch)
        run_id = keep_one(store, record.signature) or _rebuild(store, record, history)
        Spool(record.signature).remove()
        if results_dir is not None and (results_dir / METRICS_FILE).exists():
            _add_results(store, run_id, model_dir=model_dir, results_dir=results_dir)
        return run_id


@contextmanager
def _one_at_a_time(signature: str) -> Iterator[None]:
    path = paths.state_dir() / "locks" / f"run-{signature[:32]}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _rebuild(store: Store, record: RunRecord, history: list[Epoch]) -> str:
    """Finish the run that the training could not, or make one; return the id of the one that stays."""
    training = Training(**{field: getattr(record, field) for field in Training.__struct_fields__})
    former = former_run(store, record.signature)
    if former is None:
        run_id = create_run(store, training, {**processes.own_tags(), ORIGIN: "restored"})
    else:
        run_id = former.info.run_id
        describe_run(store, former, training)
    there = logged_steps(store, run_id)
    rows = [row for row in history if int(row["step"]) not in there]
    told = Spool(record.signature).read()
    log_metrics(store, run_id, [metric for row in rows for metric in _as_told(row, told)])
    store.client.set_tag(run_id, STOP_REASON, record.stop_reason)
    if record.incidents:
        store.client.set_tag(run_id, INCIDENTS, "; ".join(record.incidents))
    store.client.set_terminated(run_id, "FINISHED")
    return keep_one(store, record.signature) or run_id


def _as_told(row: Epoch, told: Mapping[int, ToldEpoch]) -> list[Metric]:
    """Return the metrics of an epoch, with its moment and its seconds where this machine has noted them."""
    step = int(row["step"])
    epoch = told.get(step)
    if epoch is None:
        return to_metrics(row, step)
    return to_metrics({**epoch.metrics, **row}, step, time_ms=epoch.time_ms)


def _add_results(store: Store, run_id: str, *, model_dir: Path, results_dir: Path) -> None:
    digest = results_digest(model_dir, results_dir)
    run = store.client.get_run(run_id)
    if run.data.tags.get(PROJECTED) == digest:
        return
    metrics = files.read_json(results_dir / METRICS_FILE, dict[str, float | None])
    judged = {_result_name(name): value for name, value in metrics.items() if value is not None}
    log_metrics(store, run_id, to_metrics(judged, step=0))
    with patience_for_files():
        store.client.log_artifacts(run_id, str(results_dir))
        if run.outputs is None or not run.outputs.model_outputs:
            log_bundle(store, run, model_dir)
    store.client.log_batch(run_id, tags=[RunTag(PROJECTED, digest)])


def _result_name(name: str) -> str:
    """Return the name on the run: `val/…` is the curve there, `val_best/…` the value of the kept epoch."""
    return f"val_best/{name.removeprefix('val/')}" if name.startswith("val/") else name
