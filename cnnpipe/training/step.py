"""One step of the optimiser, over a batch that one process computes or several, whole or in pieces."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any, Final, Generic

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim.swa_utils import AveragedModel

from cnnpipe.errors import ModelError
from cnnpipe.models.memory import is_out_of_memory
from cnnpipe.params.losses import PenaltyParams
from cnnpipe.seeding import seed_of
from cnnpipe.training.devices import Precision
from cnnpipe.training.objective import AnyBatch, Objective
from cnnpipe.training.optimisers import set_learning_rate
from cnnpipe.training.penalties import penalty_parts
from cnnpipe.training.transfer import Transfer

log = logging.getLogger(__name__)

_ONE_VALUE: Final = "Expected more than 1 value per channel"  # how torch's batch norm says so


@dataclass(frozen=True)
class Learner(Generic[AnyBatch]):
    """A network with all that changes it, on its device."""

    accelerator: Accelerator
    network: nn.Module
    optimiser: torch.optim.Optimizer
    objective: Objective[AnyBatch]
    seed: int
    transfer: Transfer | None = None
    precision: Precision = "float32"
    scaler: GradScaler | None = None  # of float16
    average: AveragedModel | None = None  # of the weights
    penalties: PenaltyParams | None = None
    clip_norm: float | None = None
    in_processes: nn.Module | None = None  # `network` as several processes compute it; None: it is alone


@dataclass(frozen=True)
class Taken:
    """What a step was made of."""

    parts: Mapping[str, Tensor]  # part of the loss -> its mean over the pictures of all processes
    num_pieces: int  # of the batch: more than wanted where memory did not do
    asked: int  # what the first process asked


def take_step(  # noqa: PLR0913 (each decides something else)
    learner: Learner[AnyBatch],
    batch: AnyBatch,
    *,
    step: int,
    rate: float,
    size: int | None = None,
    num_pieces: int = 1,
    asked: Callable[[], int] = lambda: 0,
) -> Taken:
    """Change the network by the gradient of the mean loss over the batch, of all processes together.

    Where memory runs out, the batch is computed once more in twice as many pieces, one after the other, with
    the same random numbers: they are drawn anew for each step, from the seed and its number.

    Args:
        learner: its network and optimiser change.
        batch: the share of this process.
        step: number of the step, 0-based over the whole training.
        rate: learning rate.
        size: pictures of the whole batch; None: this process is alone.
        num_pieces: in which the batch is computed, 1 at least.
        asked: what the first process has to tell the others with this step; not called in the others.

    Raises:
        ModelError: memory does not hold two pictures, or this is one of several processes, whose exchange of
            gradients would not bear that one of them begins anew; or batch norm sees one value alone.
    """
    set_learning_rate(learner.optimiser, rate)
    num_pictures = len(batch[0])
    largest = max(1, num_pictures // 2)  # batch norm needs two pictures
    while True:
        try:
            pieces = list(_pieces(batch, min(num_pieces, largest)))
            parts = _gradients(learner, pieces, step=step, size=size or num_pictures)
            break
        except ValueError as error:
            if _ONE_VALUE not in str(error):
                raise
            raise _one_value(step, num_pictures, is_alone=learner.in_processes is None) from error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if num_pieces >= largest or learner.in_processes is not None:
                raise _no_memory(step, num_pictures, num_pieces) from error
        # outside of the handler, which holds on to what filled the memory
        num_pieces = min(2 * num_pieces, largest)
        _free(learner)
        log.warning("out of memory at step %d: a batch is computed in %d pieces now", step + 1, num_pieces)
    parts, told = _of_all_processes(learner, parts, asked)
    _move(learner)
    return Taken(parts, num_pieces, told)


def _pieces(batch: AnyBatch, number: int) -> Iterator[AnyBatch]:
    """Yield the batch in so many pieces, their sizes differing by one at most."""
    kind: Any = type(batch)
    ends = [len(batch[0]) * index // number for index in range(number + 1)]
    for start, end in pairwise(ends):
        fields = [each[start:end] for each in batch]
        yield kind(*fields) if hasattr(batch, "_fields") else kind(fields)


def _gradients(
    learner: Learner[AnyBatch], pieces: list[AnyBatch], *, step: int, size: int
) -> dict[str, Tensor]:
    """Add up the gradients of the pieces; return what they add to the mean of each part of the loss."""
    _seed(learner, step)
    learner.optimiser.zero_grad()  # before the forward pass, which can then use the gradients' memory
    before: dict[str, Tensor] = {}
    for piece in pieces[:-1]:
        with _without_exchange(learner):
            before = _sums(before, _backward(learner, piece, size=size, penalties={}))
    penalties = penalty_parts(learner.network, learner.penalties)
    return _sums(before, _backward(learner, pieces[-1], size=size, penalties=penalties))


def _backward(
    learner: Learner[AnyBatch], piece: AnyBatch, *, size: int, penalties: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    accelerator = learner.accelerator
    num_processes: int = accelerator.num_processes
    parts = learner.objective.losses(learner.in_processes or learner.network, piece, accelerator.device)
    # a process whose share is empty was given a picture that does not count
    weight = len(piece[0]) / size if accelerator.process_index < size else 0.0
    loss = reduce(add, parts.values())
    if weight * num_processes != 1.0:
        loss = loss * (weight * num_processes)  # the processes' gradients are averaged, not added
    loss = reduce(add, penalties.values(), loss)
    accelerator.backward(loss if learner.scaler is None else learner.scaler.scale(loss))
    told = {name: part.detach() * weight for name, part in parts.items()}
    return told | {name: part.detach() / num_processes for name, part in penalties.items()}


def _sums(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: part + some[name] if name in some else part for name, part in others.items()}


def _of_all_processes(
    learner: Learner[AnyBatch], parts: dict[str, Tensor], asked: Callable[[], int]
) -> tuple[dict[str, Tensor], int]:
    """Return the parts summed over all processes, and what the first of them asked."""
    accelerator = learner.accelerator
    if learner.in_processes is None:
        return parts, asked()
    told = float(asked()) if accelerator.is_main_process else 0.0
    numbers = [part.float() for part in parts.values()] + [torch.tensor(told, device=accelerator.device)]
    *sums, asked_by_first = accelerator.reduce(torch.stack(numbers), reduction="sum")
    return dict(zip(parts, sums, strict=True)), int(asked_by_first)


def _move(learner: Learner[AnyBatch]) -> None:
    """Change the network; where float16's gradients are infinite, only the scale of the next ones."""
    scaler, optimiser = learner.scaler, learner.optimiser
    if learner.clip_norm is not None:
        if scaler is not None:
            scaler.unscale_(optimiser)
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, learner.clip_norm)
    if scaler is None:
        optimiser.step()
    else:
        scaler.step(optimiser)
        scaler.update()
    if learner.average is not None:
        learner.average.update_parameters(learner.network)


def _seed(learner: Learner[AnyBatch], step: int) -> None:
    """Seed torch's generators: of dropout, mixing, and the proposals that Faster R-CNN learns from."""
    accelerator = learner.accelerator
    names = (step, accelerator.process_index) if accelerator.process_index else (step,)
    seed = seed_of(learner.seed, "step", *names)
    # not torch.manual_seed, which writes down where it was called from, for a CUDA that may begin later
    torch.default_generator.manual_seed(seed)
    if accelerator.device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _without_exchange(learner: Learner[AnyBatch]) -> AbstractContextManager[None]:
    """Let the processes' gradients stay apart within the block: they are exchanged with the last piece."""
    if learner.in_processes is None:
        return nullcontext()
    apart: AbstractContextManager[None] = learner.accelerator.no_sync(learner.in_processes)
    return apart


def _no_memory(step: int, num_pictures: int, num_pieces: int) -> ModelError:
    what = f"out of memory with {num_pictures} pictures in {num_pieces} pieces"
    fix = "lower input.side_px or batch_size, raise accumulation, or choose a smaller network"
    return ModelError(f"training, step {step + 1}", what, fix)


def _one_value(step: int, num_pictures: int, *, is_alone: bool) -> ModelError:
    what = f"batch norm sees one value of a feature: {num_pictures} picture, and maps of one pixel"
    fix = "raise batch_size to 2 or more"
    if not is_alone:
        fix = "choose a batch_size that leaves two pictures of every batch to each process"
    return ModelError(f"training, step {step + 1}", what, f"{fix}, or raise input.side_px")


def _free(learner: Learner[AnyBatch]) -> None:
    learner.optimiser.zero_grad()
    if learner.accelerator.device.type == "cuda":
        torch.cuda.empty_cache()
