"""Fit a network: epochs, validation, the best weights, and a checkpoint to go on from."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn

from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.seeding import seed_of
from cnnpipe.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from cnnpipe.training.devices import Precision, make_scaler
from cnnpipe.training.epoch import Learner, train_one_epoch
from cnnpipe.training.objective import AnyBatch, Objective
from cnnpipe.training.optimisers import make_optimiser
from cnnpipe.training.records import Epoch, StopReason
from cnnpipe.training.schedules import Course, rate_factor
from cnnpipe.training.stopping import best_epoch, stop_reason
from cnnpipe.training.transfer import is_frozen, transfer_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitData(Generic[AnyBatch]):
    """What a network learns from, and what for."""

    train: Callable[[int], Iterable[AnyBatch]]  # epoch, from 1 -> its batches, shuffled and augmented
    steps_per_epoch: int
    val: Iterable[AnyBatch]  # may be walked through once per epoch
    objective: Objective[AnyBatch]


@dataclass(frozen=True)
class Surroundings:
    """What a training touches beside its network and its data."""

    accelerator: Accelerator
    checkpoint_dir: Path  # of this very training and no other
    # told every epoch's row and seconds; first, without seconds, those of a checkpoint
    on_epoch: Callable[[Epoch, float | None], None]
    precision: Precision = "float32"  # of the training; validation has float32 always


@dataclass(frozen=True)
class Fitted:
    """What a training ends with; the states are on the CPU."""

    best_state: Mapping[str, Tensor]
    last_state: Mapping[str, Tensor]
    history: tuple[Epoch, ...]
    best_epoch: int  # from 1
    stop_reason: StopReason


def fit(
    network: nn.Module,
    data: FitData[AnyBatch],
    params: ExperimentParams,
    surroundings: Surroundings,
) -> Fitted:
    """Train `network`, which changes, until a stop rule holds.

    A checkpoint is gone on from, and the end is the same as without the break.

    Args:
        network: with its first weights.
        data: batches of train and val, and the loss.
        params: optimiser, schedule, treatment of the backbone and stop rules.
        surroundings: where to train, where checkpoints lie, and who is told of each epoch.

    Raises:
        ModelError: the loss was NaN or infinite, or the checkpoint is damaged.
        ParamsError: the network has no backbone to treat as params want.
    """
    learner = _learner(network, data, params, surroundings)
    progress = load_checkpoint(surroundings.checkpoint_dir, learner)
    if progress is None:
        progress = Progress(history=(), best_state={})
    else:
        log.info("going on after epoch %d of %d", len(progress.history), params.epochs)
    for row in progress.history:
        surroundings.on_epoch(row, None)
    while (reason := stop_reason(progress.history, params)) is None:
        started = time.perf_counter()
        progress = _with_next_epoch(progress, learner, data, params)
        save_checkpoint(surroundings.checkpoint_dir, progress, learner)
        seconds = time.perf_counter() - started
        log.info("%s  %.1f s", _line(progress.history[-1], params), seconds)
        surroundings.on_epoch(progress.history[-1], seconds)
    return Fitted(
        best_state=progress.best_state,
        last_state=_copy_of_state(learner.network),
        history=progress.history,
        best_epoch=best_epoch(progress.history, params.watch),
        stop_reason=reason,
    )


def _learner(
    network: nn.Module, data: FitData[AnyBatch], params: ExperimentParams, surroundings: Surroundings
) -> Learner[AnyBatch]:
    accelerator, precision = surroundings.accelerator, surroundings.precision
    # channels last before the optimiser sees the parameters: see to_network
    network = network.to(accelerator.device).to(memory_format=torch.channels_last)
    steps_per_epoch = data.steps_per_epoch
    transfer = transfer_of(network, params.network, params.transfer, steps_per_epoch=steps_per_epoch)
    optimiser = make_optimiser(network, params.optimiser, transfer)
    # The optimiser stays ours: accelerate's wrapper looks for an optional package on the disk twice per step:
    # a tenth of LeNet-5's time.
    network = accelerator.prepare_model(network)
    course = Course.of(params.schedule, epochs=params.epochs, steps_per_epoch=steps_per_epoch)
    return Learner(
        accelerator=accelerator,
        network=network,
        optimiser=optimiser,
        objective=data.objective,
        learning_rate=lambda step: params.optimiser.learning_rate * rate_factor(step, course),
        transfer=transfer,
        precision=precision,
        scaler=make_scaler(precision, accelerator.device),
    )


def _with_next_epoch(
    progress: Progress, learner: Learner[AnyBatch], data: FitData[AnyBatch], params: ExperimentParams
) -> Progress:
    epoch = len(progress.history) + 1
    first_step = (epoch - 1) * data.steps_per_epoch
    # of dropout, and of the proposals that Faster R-CNN learns from
    torch.manual_seed(seed_of(params.seed, "epoch", epoch))
    losses, num_steps = train_one_epoch(learner, data.train(epoch), first_step=first_step)
    row: Epoch = {"epoch": epoch, "step": first_step + num_steps}
    row |= {f"train/{name}": value for name, value in losses.items()}
    found = data.objective.judge(learner.network, data.val, learner.accelerator.device)
    row |= {f"val/{name}": value for name, value in found.items()}
    row |= _learning_rates(learner, first_step + num_steps - 1)
    history = (*progress.history, row)
    is_best = best_epoch(history, params.watch) == epoch
    return Progress(
        history=history, best_state=_copy_of_state(learner.network) if is_best else progress.best_state
    )


def _learning_rates(learner: Learner[AnyBatch], step: int) -> dict[str, float]:
    rate = learner.learning_rate(step)
    if learner.transfer is None:
        return {"lr/network": rate}
    share = 0.0 if is_frozen(learner.transfer, step) else learner.transfer.rate_share
    return {"lr/head": rate, "lr/backbone": rate * share}


def _copy_of_state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _line(row: Epoch, params: ExperimentParams) -> str:
    """Return what is told of an epoch while it runs."""
    metrics = [name for name in row if name.startswith("val/") and name != "val/loss"]
    rates = [name for name in row if name.startswith("lr/")]
    told = [
        f"epoch {row['epoch']:.0f}/{params.epochs}",
        f"loss {row['train/loss']:.4f}",
        f"val loss {row['val/loss']:.4f}",
        *(f"{name.removeprefix('val/')} {row[name]:.3f}" for name in metrics),
        *(f"{name.replace('/network', '').replace('/', ' ')} {row[name]:.2e}" for name in rates),
    ]
    return "  ".join(told)
