"""One epoch of training."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Generic

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn

from cnnpipe.errors import ModelError
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
        ModelError: a loss was NaN or infinite; the checkpoint of the epoch before is whole.
    """
    to_training_mode(learner.network, learner.transfer, step=first_step)
    losses, parts, sizes = [], [], []
    for step, batch in enumerate(batches, start=first_step):
        set_learning_rate(learner.optimiser, learner.learning_rate(step))
        learner.optimiser.zero_grad()  # before the forward pass, which can then use the gradients' memory
        found = learner.objective.losses(learner.network, batch, learner.accelerator.device)
        loss = reduce(add, found.values())
        learner.accelerator.backward(loss)
        learner.optimiser.step()
        # read at the end of the epoch: asking a GPU for a number every step would make it wait
        losses.append(loss.detach())
        parts.append({name: part.detach() for name, part in found.items()})
        sizes.append(len(batch[0]))
    _refuse_no_number(losses, first_step=first_step)
    return {"loss": mean_over_pictures(losses, sizes)} | _means_of_parts(parts, sizes), len(sizes)


def _refuse_no_number(losses: Sequence[Tensor], *, first_step: int) -> None:
    values = torch.stack(list(losses)).double().cpu()
    if not bool(values.isfinite().all()):
        index = int((~values.isfinite()).nonzero()[0])
        where = f"training, step {first_step + index + 1}"
        raise ModelError(where, f"the loss is {float(values[index])}", LOWER_RATE)


def _means_of_parts(parts: Sequence[Mapping[str, Tensor]], sizes: Sequence[int]) -> dict[str, float]:
    names = list(parts[0])
    if len(names) == 1:
        return {}
    return {f"loss/{name}": mean_over_pictures([found[name] for found in parts], sizes) for name in names}
