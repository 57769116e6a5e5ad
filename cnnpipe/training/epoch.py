"""One epoch of training."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Generic

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from cnnpipe.errors import ModelError
from cnnpipe.training.devices import Precision, computing_in
from cnnpipe.training.losses import LOWER_RATE, mean_over_pictures
from cnnpipe.training.objective import AnyBatch, Objective
from cnnpipe.training.optimisers import set_learning_rate
from cnnpipe.training.transfer import Transfer, to_training_mode


@dataclass(frozen=True)
class Learner(Generic[AnyBatch]):
    """A network with all that changes it, on its device."""

    accelerator: Accelerator
    network: nn.Module
    optimiser: torch.optim.Optimizer
    objective: Objective[AnyBatch]
    learning_rate: Callable[[int], float]  # of a step, 0-based over the whole training
    transfer: Transfer | None
    precision: Precision = "float32"
    scaler: GradScaler | None = None  # of float16


def train_one_epoch(
    learner: Learner[AnyBatch], batches: Iterable[AnyBatch], *, first_step: int
) -> tuple[dict[str, float], int]:
    """Take one step per batch.

    Args:
        learner: its network and optimiser change.
        batches: at least one.
        first_step: 0-based number of the first step over the whole training.

    Returns:
        Means over the epoch's pictures, "loss" and where it has several parts "loss/<part>"; and the number
        of steps taken.

    Raises:
        ModelError: a loss was NaN or infinite, or float16 holds no gradient; the checkpoint of the epoch
            before is whole.
    """
    network, device = learner.network, learner.accelerator.device
    to_training_mode(network, learner.transfer, step=first_step)
    losses, parts, sizes = [], [], []
    with computing_in(learner.precision, learner.objective.may_be_lowered(network), device):
        for step, batch in enumerate(batches, start=first_step):
            set_learning_rate(learner.optimiser, learner.learning_rate(step))
            learner.optimiser.zero_grad()  # before the forward pass, which can then use the gradients' memory
            found = learner.objective.losses(network, batch, device)
            loss = reduce(add, found.values())
            _take_step(learner, loss)
            # read at the end of the epoch: asking a GPU for a number every step would make it wait
            losses.append(loss.detach())
            parts.append({name: part.detach() for name, part in found.items()})
            sizes.append(len(batch[0]))
    _refuse_no_number(losses, learner.precision, first_step=first_step)
    _refuse_no_gradient(learner.scaler, last_step=first_step + len(sizes))
    return {"loss": mean_over_pictures(losses, sizes)} | _means_of_parts(parts, sizes), len(sizes)


def _take_step(learner: Learner[AnyBatch], loss: Tensor) -> None:
    """Change the network; where float16's gradients are infinite, only the scale of the next ones."""
    if learner.scaler is None:
        learner.accelerator.backward(loss)
        learner.optimiser.step()
        return
    learner.accelerator.backward(learner.scaler.scale(loss))
    learner.scaler.step(learner.optimiser)
    learner.scaler.update()


def _refuse_no_number(losses: Sequence[Tensor], precision: Precision, *, first_step: int) -> None:
    values = torch.stack(list(losses)).double().cpu()
    if not bool(values.isfinite().all()):
        index = int((~values.isfinite()).nonzero()[0])
        where = f"training, step {first_step + index + 1}"
        fix = LOWER_RATE if precision == "float32" else f"{LOWER_RATE}, or set train.precision: float32"
        raise ModelError(where, f"the loss is {float(values[index])}", fix)


def _refuse_no_gradient(scaler: GradScaler | None, *, last_step: int) -> None:
    """Check that steps are not skipped for good: each halves the scale, which starts at 65,536."""
    if scaler is not None and scaler.get_scale() < 1.0:
        where = f"training, step {last_step}"
        raise ModelError(where, "float16 holds none of the gradients", "set train.precision: float32")


def _means_of_parts(parts: Sequence[Mapping[str, Tensor]], sizes: Sequence[int]) -> dict[str, float]:
    names = list(parts[0])
    if len(names) == 1:
        return {}
    return {f"loss/{name}": mean_over_pictures([found[name] for found in parts], sizes) for name in names}
