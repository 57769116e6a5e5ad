"""Fit a network: epochs, validation, the best weights, and checkpoints to go on from."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Generic

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn

from cnnpipe.errors import ModelError
from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.training.averaging import make_average
from cnnpipe.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from cnnpipe.training.devices import Precision, make_scaler
from cnnpipe.training.epoch import Conditions, DivergedError, Walk, refuse_no_number, train_one_epoch
from cnnpipe.training.interruption import Interruption
from cnnpipe.training.objective import AnyBatch, Objective
from cnnpipe.training.optimisers import make_optimiser
from cnnpipe.training.processes import in_processes, told_by_the_first
from cnnpipe.training.records import Epoch, StopReason
from cnnpipe.training.schedules import Course, num_drops, rate_factor
from cnnpipe.training.step import Learner
from cnnpipe.training.stopping import best_epoch, is_time_over, num_steps, stop_reason
from cnnpipe.training.tally import Tally
from cnnpipe.training.transfer import Transfer, learning_rates, transfer_of

log = logging.getLogger(__name__)

_NEVER_S: Final = float("inf")
_LARGEST_COST: Final = 0.02  # of the time, that checkpoints after epochs may take


@dataclass(frozen=True)
class FitData(Generic[AnyBatch]):
    """What a network learns from, and what for."""

    # epoch, from 1, and the first batch wanted, from 0 -> its batches from there on, shuffled and augmented
    train: Callable[[int, int], Iterable[AnyBatch]]
    batch_sizes: Sequence[int]  # pictures of each batch of an epoch, in all processes together
    val: Iterable[AnyBatch]  # may be walked through once per epoch
    objective: Objective[AnyBatch]

    @property
    def steps_per_epoch(self) -> int:
        return len(self.batch_sizes)


@dataclass(frozen=True)
class Pace:
    """How often a checkpoint is kept within an epoch.

    After an epoch there is one anyway, as long as they take no more than a fiftieth of the time.
    """

    steps: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a training touches beside its network and its data."""

    accelerator: Accelerator
    checkpoint_dir: Path  # of this very training and no other
    # told every epoch's row and seconds; first, without seconds, those of a checkpoint
    on_epoch: Callable[[Epoch, float | None], None]
    precision: Precision = "float32"  # of the training; validation has float32 always
    pace: Pace = Pace()


@dataclass(frozen=True)
class Fitted:
    """What a training ends with; the states are on the CPU."""

    best_state: Mapping[str, Tensor]
    last_state: Mapping[str, Tensor]
    history: tuple[Epoch, ...]
    best_epoch: int  # from 1
    stop_reason: StopReason
    incidents: tuple[str, ...] = ()  # what went wrong and was mended, in words


@dataclass(frozen=True)
class _Fit(Generic[AnyBatch]):
    """One call of `fit`."""

    learner: Learner[AnyBatch]
    data: FitData[AnyBatch]
    params: ExperimentParams
    surroundings: Surroundings
    course: Course
    interruption: Interruption


def fit(
    network: nn.Module,
    data: FitData[AnyBatch],
    params: ExperimentParams,
    surroundings: Surroundings,
    *,
    held: Transfer | None = None,
) -> Fitted:
    """Train `network`, which changes, until a stop rule holds.

    A checkpoint is gone on from, and the end is the same as without the break, to the last bit.

    Args:
        network: with its first weights.
        data: batches of train and val, and the loss.
        params: optimiser, schedule, treatment of the backbone and stop rules.
        surroundings: where to train, where checkpoints lie, and who is told of each epoch.
        held: parts that are treated apart, in place of the backbone of params.

    Raises:
        ModelError: the training diverged, or the checkpoint is damaged.
        ParamsError: the network has no backbone to treat as params want.
        SystemExit: SIGTERM came; a checkpoint is kept.
        KeyboardInterrupt: Ctrl-C came, likewise.
    """
    learner = _learner(network, data, params, surroundings, held)
    steps_per_epoch = data.steps_per_epoch
    total = num_steps(params, steps_per_epoch)
    course = Course.of(params.schedule, num_steps=total, steps_per_epoch=steps_per_epoch)
    interruption = Interruption()
    run = _Fit(learner, data, params, surroundings, course, interruption)
    with interruption.listening(is_follower=not learner.accelerator.is_main_process):
        progress, reason = _to_the_end(run, _start(run))
    last_state = _copy_of_state(_judged(learner))
    return Fitted(
        best_state=progress.best_state or last_state,
        last_state=last_state,
        history=progress.history,
        best_epoch=best_epoch(progress.history, params.watch),
        stop_reason=reason,
        incidents=progress.incidents,
    )


def _learner(
    network: nn.Module,
    data: FitData[AnyBatch],
    params: ExperimentParams,
    surroundings: Surroundings,
    held: Transfer | None,
) -> Learner[AnyBatch]:
    accelerator, precision = surroundings.accelerator, surroundings.precision
    # channels last before the optimiser sees the parameters: see to_network
    network = network.to(accelerator.device).to(memory_format=torch.channels_last)
    per_epoch = data.steps_per_epoch
    transfer = held or transfer_of(network, params.network, params.transfer, steps_per_epoch=per_epoch)
    # The optimiser stays ours: accelerate's wrapper looks for an optional package on the disk twice per step:
    # a tenth of LeNet-5's time.
    return Learner(
        accelerator=accelerator,
        network=network,
        optimiser=make_optimiser(network, params.optimiser, transfer),
        objective=data.objective,
        seed=params.seed,
        transfer=transfer,
        precision=precision,
        scaler=make_scaler(precision, accelerator.device),
        average=make_average(network, params.ema),
        penalties=params.penalties,
        clip_norm=params.clip_norm,
        in_processes=in_processes(network, accelerator, has_frozen=transfer is not None),
    )


def _start(run: _Fit[AnyBatch]) -> Progress:
    """Return where the training stands, and tell of the epochs that are behind it."""
    progress = load_checkpoint(run.surroundings.checkpoint_dir, run.learner)
    if progress is None:
        progress = Progress(num_pieces=run.params.accumulation)
        if run.params.on_divergence is not None:  # it may be gone back to
            _keep(run, progress)
    else:
        where = f"going on after epoch {len(progress.history)} of {run.params.epochs}"
        log.info("%s", where if progress.tally is None else f"{where}, step {progress.steps}")
    for row in progress.history:
        run.surroundings.on_epoch(row, None)
    return progress


def _to_the_end(run: _Fit[AnyBatch], progress: Progress) -> tuple[Progress, StopReason]:
    reason, due_at = _reason_to_stop(run, progress), 0.0
    while reason is None:
        started = time.perf_counter()
        try:
            progress = _with_next_epoch(run, progress)
        except DivergedError as error:
            progress = _gone_back(run, progress, error)
            continue
        reason, ended = _reason_to_stop(run, progress), time.perf_counter()
        if reason is not None or ended >= due_at:
            _keep(run, progress)
            kept = time.perf_counter()
            due_at = kept + (kept - ended) / _LARGEST_COST
        seconds = time.perf_counter() - started
        log.info("%s  %.1f s", _line(progress.history[-1], run.params), seconds)
        run.surroundings.on_epoch(progress.history[-1], seconds)
    return progress, reason


def _reason_to_stop(run: _Fit[AnyBatch], progress: Progress) -> StopReason | None:
    # by the clock of the first process
    decide = partial(stop_reason, progress.history, run.params, seconds=progress.seconds)
    return told_by_the_first(run.learner.accelerator, decide)


def _with_next_epoch(run: _Fit[AnyBatch], progress: Progress) -> Progress:
    """Return the progress after one more epoch, or after the rest of one that was broken off."""
    if progress.best_state is None and progress.history:
        progress = replace(progress, best_state=_copy_of_state(_judged(run.learner)))
    walk = Walk(step=progress.steps, num_pieces=progress.num_pieces, tally=progress.tally or Tally())
    conditions = _conditions(run, progress, walk)
    now = partial(_at, progress, walk, time.perf_counter())
    epoch, first = len(progress.history) + 1, len(walk.tally.sizes)
    left = run.course.num_steps - walk.step
    try:
        train_one_epoch(run.learner, islice(run.data.train(epoch, first), left), walk, conditions)
        refuse_no_number(run.learner, walk)
        row = told_by_the_first(run.learner.accelerator, partial(_row, run, progress, walk, epoch))
    except (SystemExit, KeyboardInterrupt):
        if not run.interruption.broke_a_step:
            _keep_if_finite(run, now(), walk)
        raise
    history = (*progress.history, row)
    is_best = best_epoch(history, run.params.watch) == epoch
    return replace(now(), history=history, tally=None, best_state=None if is_best else progress.best_state)


def _conditions(run: _Fit[AnyBatch], progress: Progress, walk: Walk) -> Conditions:
    drops = num_drops(progress.history, run.params)
    base = run.params.optimiser.learning_rate * progress.rate_factor
    started = time.perf_counter()
    of_all = run.learner.in_processes is not None
    return Conditions(
        rate=lambda step: base * rate_factor(step, run.course, num_drops=drops),
        interruption=run.interruption,
        sizes=run.data.batch_sizes[len(walk.tally.sizes) :] if of_all else None,
        is_over=lambda: is_time_over(run.params, seconds=progress.seconds + time.perf_counter() - started),
        after_step=_keeper(run, progress, started),
    )


def _keeper(run: _Fit[AnyBatch], progress: Progress, started: float) -> Callable[[Walk], None]:
    """Return what keeps a checkpoint within an epoch whenever one is due."""
    pace, kept_at = run.surroundings.pace, started
    pause_s = _NEVER_S if pace.minutes is None else 60.0 * pace.minutes

    def keep_if_due(walk: Walk) -> None:
        nonlocal kept_at
        is_counted = pace.steps is not None and walk.step % pace.steps == 0
        if is_counted or time.perf_counter() - kept_at >= pause_s:
            # of several processes each has a clock of its own: only what is counted, all of them see
            if is_counted or run.learner.in_processes is None:
                refuse_no_number(run.learner, walk)
            _keep_if_finite(run, _at(progress, walk, started), walk)
            kept_at = time.perf_counter()

    return keep_if_due


def _at(progress: Progress, walk: Walk, started: float) -> Progress:
    """Return the progress at a step of the epoch that began, or was gone on with, at `started`."""
    pieces = walk.num_pieces
    incident = f"out of memory: batches in {pieces} pieces, by step {walk.step}"
    return replace(
        progress,
        steps=walk.step,
        tally=walk.tally,
        num_pieces=pieces,
        seconds=progress.seconds + time.perf_counter() - started,
        incidents=(*progress.incidents, incident) if pieces > progress.num_pieces else progress.incidents,
    )


def _keep(run: _Fit[AnyBatch], progress: Progress) -> None:
    if run.learner.accelerator.is_main_process:
        save_checkpoint(run.surroundings.checkpoint_dir, progress, run.learner)


def _keep_if_finite(run: _Fit[AnyBatch], progress: Progress, walk: Walk) -> None:
    try:
        refuse_no_number(run.learner, walk)
    except ModelError:
        return  # the one before is better
    _keep(run, progress)


def _gone_back(run: _Fit[AnyBatch], progress: Progress, error: DivergedError) -> Progress:
    """Return the last checkpoint with a smaller rate.

    Raises:
        DivergedError: params do not want that, or no more often.
    """
    wanted = run.params.on_divergence
    if wanted is None or progress.num_divergences >= wanted.times:
        raise error
    kept = load_checkpoint(run.surroundings.checkpoint_dir, run.learner)
    if kept is None:
        raise error
    factor = progress.rate_factor * wanted.rate_factor
    incident = f"diverged ({error.where}: {error.what}): back to step {kept.steps}, rate x {factor:g}"
    log.warning("%s", incident)
    gone_back = replace(
        kept,
        num_divergences=kept.num_divergences + 1,
        rate_factor=factor,
        incidents=(*kept.incidents, incident),
    )
    _keep(run, gone_back)
    return gone_back


def _row(run: _Fit[AnyBatch], progress: Progress, walk: Walk, epoch: int) -> Epoch:
    row: Epoch = {"epoch": epoch, "step": walk.step}
    row |= {f"train/{name}": value for name, value in walk.tally.means().items()}
    found = run.data.objective.judge(_judged(run.learner), run.data.val, run.learner.accelerator.device)
    row |= {f"val/{name}": value for name, value in found.items()}
    last = max(walk.step - 1, 0)
    drops = num_drops(progress.history, run.params)
    factor = rate_factor(last, run.course, num_drops=drops) * progress.rate_factor
    rates = learning_rates(run.learner.transfer, run.params.optimiser.learning_rate * factor, last)
    return row | rates


def _judged(learner: Learner[AnyBatch]) -> nn.Module:
    """Return the network that val judges and the bundle holds."""
    return learner.network if learner.average is None else learner.average.module


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
