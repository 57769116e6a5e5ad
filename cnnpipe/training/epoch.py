"""One epoch of training, from its first step or from where it was broken off."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from torch import nn

from cnnpipe.errors import ModelError
from cnnpipe.training.devices import computing_in
from cnnpipe.training.interruption import Interruption
from cnnpipe.training.losses import LOWER_RATE
from cnnpipe.training.objective import AnyBatch
from cnnpipe.training.step import Learner, take_step
from cnnpipe.training.tally import Tally
from cnnpipe.training.transfer import to_training_mode

GO_ON: Final = 0
END_EPOCH: Final = 1  # a stop rule holds
STOP: Final = 2  # a signal came


class DivergedError(ModelError):
    """A loss, or what a step made of the network, is NaN or infinite."""


@dataclass
class Walk:
    """The way through an epoch: where it is, and what was met on it."""

    step: int  # of the next one, 0-based over the whole training
    num_pieces: int  # that a batch is computed in
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Conditions:
    """What an epoch is walked under."""

    rate: Callable[[int], float]  # of a step, 0-based over the whole training
    interruption: Interruption = field(default_factory=Interruption)
    sizes: Sequence[int] | None = None  # of the batches to come, in all processes; None: this one is alone
    # whether the epoch ends with the step in hand; of several processes the first one's word counts
    is_over: Callable[[], bool] = lambda: False
    after_step: Callable[[Walk], None] = lambda _: None  # e.g. keeps a checkpoint


def train_one_epoch(
    learner: Learner[AnyBatch], batches: Iterable[AnyBatch], walk: Walk, conditions: Conditions
) -> None:
    """Take one step per batch, until the batches or the conditions end it.

    Args:
        learner: its network and optimiser change.
        batches: those that are left of the epoch.
        walk: moves on; its tally has the epoch's losses.
        conditions: rate, signals and further ends.

    Raises:
        SystemExit: SIGTERM came; the step in hand was finished.
        KeyboardInterrupt: Ctrl-C, likewise.
    """
    to_training_mode(learner.network, learner.transfer, step=walk.step)
    parts = learner.objective.may_be_lowered(learner.network)
    interruption, is_alone = conditions.interruption, learner.in_processes is None
    with computing_in(learner.precision, parts, learner.accelerator.device):
        for index, batch in enumerate(batches):
            size = len(batch[0]) if conditions.sizes is None else conditions.sizes[index]
            with interruption.step():
                taken = take_step(
                    learner,
                    batch,
                    step=walk.step,
                    rate=conditions.rate(walk.step),
                    size=size,
                    num_pieces=walk.num_pieces,
                    asked=partial(_asked, conditions),
                )
                walk.tally.add(taken.parts, size)
                walk.step, walk.num_pieces = walk.step + 1, taken.num_pieces
            if taken.asked == STOP or (is_alone and interruption.signal is not None):
                interruption.stop()
            conditions.after_step(walk)
            if taken.asked == END_EPOCH:
                return


def refuse_no_number(learner: Learner[AnyBatch], walk: Walk) -> None:
    """Check that every loss of the epoch so far, and what the steps have made of the network, is a number.

    Raises:
        DivergedError: one is NaN or infinite.
        ModelError: float16 holds none of the gradients.
    """
    fix = LOWER_RATE if learner.precision == "float32" else f"{LOWER_RATE}, or set train.precision: float32"
    found = walk.tally.first_no_number()
    if found is not None:
        step = walk.step - len(walk.tally.sizes) + found[0] + 1
        raise DivergedError(f"training, step {step}", f"the loss is {found[1]}", fix)
    if not _is_finite(learner.network):
        raise DivergedError(f"training, step {walk.step}", "weights have become NaN or infinite", fix)
    # each step that is left out halves the scale, which starts at 65,536
    if learner.scaler is not None and learner.scaler.get_scale() < 1.0:
        where = f"training, step {walk.step}"
        raise ModelError(where, "float16 holds none of the gradients", "set train.precision: float32")


def _asked(conditions: Conditions) -> int:
    if conditions.interruption.signal is not None:
        return STOP
    return END_EPOCH if conditions.is_over() else GO_ON


def _is_finite(network: nn.Module) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())
