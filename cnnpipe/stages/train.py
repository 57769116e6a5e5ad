"""Stage `train`: fit one experiment on its view; records to MLflow beside its files.

A killed training is gone on from after its last full epoch, and ends in the same files.
"""

import hashlib
import logging
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from torch import nn

from cnnpipe import files, paths
from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.augmentation.preprocess import to_channels
from cnnpipe.datasets.classification import batches_of_epoch, evaluation_loader, training_loader
from cnnpipe.datasets.normalisation import channel_statistics
from cnnpipe.datasets.packs import OpenView, open_view
from cnnpipe.datasets.records import VIEW_FILE
from cnnpipe.errors import DataError
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec, Preprocessing
from cnnpipe.models.networks import build_network, num_parameters
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights import write_weights
from cnnpipe.params.experiment import ExperimentParams, InputParams, TrainParams
from cnnpipe.seeding import seed_of
from cnnpipe.tracking.projection import ensure_run_if_reachable
from cnnpipe.tracking.runs import ActiveRun, Training, start_run
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord, flatten, signature_of

LAST_WEIGHTS_FILE: Final = "last.safetensors"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """All that decides one training."""

    opened: OpenView
    view_file: Path
    preprocessing: Preprocessing
    params: ExperimentParams
    machine: TrainParams


def train(name: str, view: Path, out: Path, params: ExperimentParams, machine: TrainParams) -> RunRecord:
    """Write weights, model.json, history and run.json of one experiment to `out`; return the run.

    Args:
        name: of the experiment.
        view: folder of a classification view.
        out: folder to write; complete or untouched.
        params: network and recipe.
        machine: device, threads and loader processes.

    Raises:
        DataError: the view is missing or damaged, or there is nothing in it to learn or to choose by.
        ParamsError: the device, the network or its input size is not to be had.
        ModelError: the loss was NaN or infinite, or a checkpoint is damaged.
        StorageError: MLflow's store cannot be reached.
    """
    job = _prepare(view, params, machine)
    accelerator = make_accelerator(machine.device)
    with repeatable_torch(num_threads=machine.num_threads):
        network = _first_network(job)
        training = _training(name, job, num_parameters=num_parameters(network))
        checkpoint_dir = paths.state_dir() / "checkpoints" / training.signature
        with start_run(training, device=str(accelerator.device)) as run:
            on_epoch = partial(_log_epoch, run, job.opened.view.num_samples["train"])
            fitted = fit(network, _data(job), params, Surroundings(accelerator, checkpoint_dir, on_epoch))
            record = _write(out, job, training, fitted)
            run.finish("FINISHED", stop_reason=fitted.stop_reason)
    ensure_run_if_reachable(out, None)
    shutil.rmtree(checkpoint_dir)
    return record


def _prepare(view: Path, params: ExperimentParams, machine: TrainParams) -> _Job:
    opened = open_view(view)
    _refuse_unfit(opened, where=str(view))
    if opened.view.max_side_px < params.input.side_px:
        log.warning(
            "input.side_px is %d, but the view was made with max_side_px %d: larger pictures lost detail",
            *(params.input.side_px, opened.view.max_side_px),
        )
    return _Job(
        opened=opened,
        view_file=view / VIEW_FILE,
        preprocessing=_preprocessing(opened, params.input),
        params=params,
        machine=machine,
    )


def _refuse_unfit(opened: OpenView, *, where: str) -> None:
    """Check that every class can be learned and that there is something to choose the best epoch by."""
    in_train = Counter(sample.label for sample in opened.samples if sample.split == "train")
    if len(opened.view.classes) < 2:
        what = f"holds {len(opened.view.classes)} class; a classifier needs two"
        raise DataError(where, what, "annotate objects of another class, or lower validate.min_side_px")
    if absent := [label for label in opened.view.classes if not in_train[label]]:
        what = f"no picture to train on for class: {', '.join(absent)}"
        raise DataError(where, what, "annotate more of it, or pin some of its pictures to train")
    if not opened.view.num_samples.get("val"):
        fix = "annotate more pictures, raise split.val_fraction, or pin some to val"
        raise DataError(where, "no picture in val to choose the best epoch by", fix)


def _preprocessing(opened: OpenView, params: InputParams) -> Preprocessing:
    mean, std = _mean_and_std(opened, params)
    return Preprocessing(side_px=params.side_px, channels=params.channels, fit=params.fit, mean=mean, std=std)


def _mean_and_std(opened: OpenView, params: InputParams) -> tuple[list[float], list[float]]:
    """Return what pictures are normalised by, per channel, of values in [0, 1].

    Source of ImageNet's numbers: torchvision, `ImageClassification`; for grey, their means.
    """
    match params.normalisation, params.channels:
        case "dataset", channels:
            return channel_statistics(opened, partial(to_channels, channels=channels))
        case "imagenet", 3:
            return [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        case "imagenet", _:
            return [0.449], [0.226]
        case _, channels:
            return [0.5] * channels, [0.5] * channels


def _first_network(job: _Job) -> nn.Module:
    shape = NetworkShape(
        num_classes=len(job.opened.view.classes),
        channels=job.params.input.channels,
        side_px=job.params.input.side_px,
        dropout=job.params.dropout,
    )
    seed = seed_of(job.params.seed, "weights")
    return build_network(job.params.network, shape, weights=job.params.weights, seed=seed)


def _training(name: str, job: _Job, *, num_parameters: int) -> Training:
    recipe = job.params.model_dump()
    params = flatten(recipe | {"train": job.machine.model_dump()})
    inputs = {job.view_file.as_posix(): files.sha256_of_file(job.view_file)}
    code = _code_digest(paths.CODE)
    return Training(
        signature=signature_of(stage=f"train@{name}", inputs=inputs, params=params, code=code),
        experiment=name,
        task=job.params.task,
        network=job.params.network,
        num_parameters=num_parameters,
        params=params,
        inputs=inputs,
        code=code,
    )


def _code_digest(path: Path) -> str:
    """Return the digest of what code.json says of this stage."""
    if not path.exists():
        raise DataError(str(path), "file not found", "run `cnnpipe code`")
    return hashlib.sha256(files.read_json(path, dict[str, str])["train"].encode()).hexdigest()


def _data(job: _Job) -> FitData:
    augment = build_augmentation(
        job.params.augmentation,
        side_px=job.params.input.side_px,
        channels=job.params.input.channels,
        fit=job.params.input.fit,
    )
    loader = training_loader(
        job.opened,
        augment,
        batch_size=job.params.batch_size,
        seed=job.params.seed,
        num_workers=job.machine.num_workers,
    )
    val = evaluation_loader(
        job.opened,
        preprocess_of(job.preprocessing),
        split="val",
        batch_size=job.params.batch_size,
        num_workers=job.machine.num_workers,
    )
    return FitData(
        train=partial(batches_of_epoch, loader),
        steps_per_epoch=len(loader),
        val=val,
        normalise=normalise_of(job.preprocessing),
    )


def _log_epoch(run: ActiveRun, num_pictures: int, row: Epoch, seconds: float | None) -> None:
    """Hand an epoch to MLflow; the clock goes there and nowhere else."""
    times = (
        {}
        if seconds is None
        else {"time/epoch_seconds": seconds, "images_per_second": num_pictures / seconds}
    )
    run.log_epoch({**row, **times}, step=int(row["step"]))


def _write(out: Path, job: _Job, training: Training, fitted: Fitted) -> RunRecord:
    record = RunRecord(
        **msgspec.structs.asdict(training),
        stop_reason=fitted.stop_reason,
        best_epoch=fitted.best_epoch,
    )
    with files.whole_folder(out) as folder:
        spec = ModelSpec(
            task=job.params.task,
            network=job.params.network,
            dropout=job.params.dropout,
            classes=job.opened.view.classes,
            preprocessing=job.preprocessing,
            decoder="softmax",
            data_sha256=files.sha256_of_file(job.view_file),
            weights_sha256=write_weights(folder / WEIGHTS_FILE, fitted.best_state),
        )
        write_weights(folder / LAST_WEIGHTS_FILE, fitted.last_state)
        files.write_json(folder / MODEL_FILE, spec)
        files.write_jsonl(folder / HISTORY_FILE, fitted.history)
        files.write_json(folder / RUN_FILE, record)
    return record
