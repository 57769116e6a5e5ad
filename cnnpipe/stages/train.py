"""Stage `train`: fit one experiment on its view; records to MLflow beside its files.

A killed training is gone on with from its last checkpoint, and ends in the same files. Of several processes
that share its batches only the first one records and writes.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from cnnpipe import files, locks, paths
from cnnpipe.errors import DataError
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.building import num_parameters
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE
from cnnpipe.models.weights import write_weights
from cnnpipe.params.experiment import ExperimentParams, TrainParams
from cnnpipe.params.tracking import WhenUnreachable
from cnnpipe.tasks.classify import training as classify
from cnnpipe.tasks.detect import training as detect
from cnnpipe.tasks.regress import training as regress
from cnnpipe.tracking.active_run import ActiveRun, start_run
from cnnpipe.tracking.first_weights import fill_from_run
from cnnpipe.tracking.projection import ensure_run_if_reachable
from cnnpipe.tracking.runs import Training
from cnnpipe.training.devices import make_accelerator, precision_on
from cnnpipe.training.fit import Fitted, Pace, Surroundings
from cnnpipe.training.growing import fit_grown
from cnnpipe.training.job import Job
from cnnpipe.training.processes import check_number, leave, tell_ready
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord, flatten, signature_of

log = logging.getLogger(__name__)

LAST_WEIGHTS_FILE: Final = "last.safetensors"

# task -> what prepares its training from the view, the params of its kind and the machine
PREPARE: Final[Mapping[str, Callable[[Path, Any, TrainParams], Job]]] = MappingProxyType(
    {"classify": classify.prepare, "detect": detect.prepare, "regress": regress.prepare}
)


def train(  # noqa: PLR0913 (the last one changes no result)
    name: str,
    view: Path,
    out: Path,
    params: ExperimentParams,
    machine: TrainParams,
    *,
    when_unreachable: WhenUnreachable = "continue",
) -> RunRecord:
    """Write weights, model.json, history and run.json of one experiment to `out`; return the run.

    Args:
        name: of the experiment.
        view: folder of a view of its task.
        out: folder to write; complete or untouched.
        params: network and recipe.
        machine: device, threads and loader processes.
        when_unreachable: whether to go on without MLflow's store.

    Raises:
        DataError: the view is missing or damaged, or there is nothing in it to learn or to choose by.
        ParamsError: the device, its precision, the network, its input size or its treatment is not to be had.
        BusyError: another process trains the very same, with the same folder of checkpoints.
        ModelError: the loss was NaN or infinite, a checkpoint is damaged, or weights given do not fit.
        StorageError: MLflow's store cannot be reached, and the training is not to go on without it, or has
            its first weights from there.
    """
    job = PREPARE[params.task](view, params, machine)
    accelerator = make_accelerator(machine.device)
    precision = precision_on(machine.precision, accelerator.device)
    together = f" by {accelerator.num_processes} processes" if accelerator.num_processes > 1 else ""
    log.info("training on %s in %s%s", accelerator.device.type, precision, together)
    with repeatable_torch(num_threads=machine.num_threads):
        network = job.first_network(params)
        fill_from_run(network, params)
        training = _training(name, job, _recipe(params, machine), num_parameters(network))
        checkpoint_dir = paths.checkpoint_dir() / training.signature
        with _only_training(training, checkpoint_dir):
            with start_run(
                training,
                device=str(accelerator.device),
                precision=precision,
                when_unreachable=when_unreachable,
            ) as run:
                on_epoch = partial(_log_epoch, run, job.view.num_samples["train"])
                pace = Pace(machine.checkpoint_steps, machine.checkpoint_minutes)
                surroundings = Surroundings(accelerator, checkpoint_dir, on_epoch, precision, pace)
                fitted = fit_grown(network, job.data(), params, surroundings, first_network=job.first_network)
                record = _write(out, job, training, fitted)
                run.finish("FINISHED", stop_reason=fitted.stop_reason, incidents=fitted.incidents)
            ensure_run_if_reachable(out, None)
            shutil.rmtree(checkpoint_dir)
    return record


def follow(view: Path, params: ExperimentParams, machine: TrainParams) -> None:
    """Compute a share of each batch of the training that another process, the first one, records and writes.

    Raises:
        SystemExit: the first one has stopped.
        ParamsError: there are more processes than params say, or fewer.
    """
    check_number(machine.processes)
    log.setLevel(logging.WARNING)
    job = PREPARE[params.task](view, params, machine)
    tell_ready()
    accelerator = make_accelerator(machine.device)
    precision = precision_on(machine.precision, accelerator.device)
    with repeatable_torch(num_threads=machine.num_threads):
        # the first one keeps checkpoints; at some of its steps all look whether the losses are numbers
        pace = Pace(steps=machine.checkpoint_steps)
        nowhere = Surroundings(accelerator, Path(), lambda _row, _seconds: None, precision, pace)
        network = job.first_network(params)
        fill_from_run(network, params)
        fit_grown(network, job.data(), params, nowhere, first_network=job.first_network)
    leave()


@contextmanager
def _only_training(training: Training, checkpoint_dir: Path) -> Iterator[None]:
    """Run the block as the only process, of all that share the folder of checkpoints, with this signature."""
    path = checkpoint_dir.with_name(f"{checkpoint_dir.name}.lock")
    note = f"train@{training.experiment} in {Path.cwd().name}"
    fix = "wait for its end and run it again, or stop that process"
    with locks.only_one(
        path, where=f"train@{training.experiment}", does="trains the same", fix=fix, note=note
    ):
        yield
        path.unlink()  # the next to take it looks whether its file is still there


def _recipe(params: ExperimentParams, machine: TrainParams) -> dict[str, Any]:
    # how often a checkpoint is kept changes no result
    pace = {"checkpoint_steps", "checkpoint_minutes"}
    return flatten(params.model_dump() | {"train": machine.model_dump(exclude=pace)})


def _training(name: str, job: Job, recipe: dict[str, Any], num_parameters: int) -> Training:
    inputs = {job.view_file.as_posix(): files.sha256_of_file(job.view_file)}
    code = _code_digest(paths.CODE, recipe["task"])
    return Training(
        signature=signature_of(stage=f"train@{name}", inputs=inputs, params=recipe, code=code),
        experiment=name,
        task=recipe["task"],
        network=recipe["network"],
        num_parameters=num_parameters,
        params=recipe,
        inputs=inputs,
        code=code,
    )


def _code_digest(path: Path, task: str) -> str:
    """Return the digest of what code.json says of this stage and task."""
    if not path.exists():
        raise DataError(str(path), "file not found", "run `cnnpipe code`")
    of_stage = files.read_json(path, dict[str, Any]).get("train")
    if not isinstance(of_stage, dict) or task not in of_stage:
        raise DataError(str(path), f"has no digest of train for task {task}", "run `cnnpipe code`")
    return hashlib.sha256(of_stage[task].encode()).hexdigest()


def _log_epoch(run: ActiveRun, num_pictures: int, row: Epoch, seconds: float | None) -> None:
    """Hand an epoch to MLflow; the clock goes there and nowhere else."""
    times = (
        {}
        if seconds is None
        else {"time/epoch_seconds": seconds, "images_per_second": num_pictures / seconds}
    )
    run.log_epoch({**row, **times}, step=int(row["step"]))


def _write(out: Path, job: Job, training: Training, fitted: Fitted) -> RunRecord:
    record = RunRecord(
        **msgspec.structs.asdict(training),
        stop_reason=fitted.stop_reason,
        best_epoch=fitted.best_epoch,
        incidents=list(fitted.incidents),
    )
    with files.whole_folder(out) as folder:
        weights_sha256 = write_weights(folder / WEIGHTS_FILE, fitted.best_state)
        write_weights(folder / LAST_WEIGHTS_FILE, fitted.last_state)
        files.write_json(folder / MODEL_FILE, job.spec(fitted.best_state, weights_sha256))
        files.write_jsonl(folder / HISTORY_FILE, fitted.history)
        files.write_json(folder / RUN_FILE, record)
    return record
