"""One epoch of training and one look at val.

Legend: B batch, C channels, H W pixels, K classes.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn

from cnnpipe.errors import ModelError
from cnnpipe.evaluation import confusion
from cnnpipe.inference.forward import Normalise, forward_batches, to_network
from cnnpipe.training.optimisers import set_learning_rate

Batches = Iterable[tuple[Tensor, Tensor]]  # pictures_BCHW uint8, targets_B


@dataclass(frozen=True)
class Learner:
    """A network with all that changes it, on its device."""

    accelerator: Accelerator
    network: nn.Module
    optimiser: torch.optim.Optimizer
    normalise: Normalise
    loss: Callable[[Tensor, Tensor], Tensor]  # logits_BK, targets_B -> mean over the batch
    learning_rate: Callable[[int], float]  # of a step, 0-based over the whole training


def train_one_epoch(learner: Learner, batches: Batches, *, first_step: int) -> tuple[float, int]:
    """Take one step per batch.

    Args:
        learner: its network and optimiser change.
        batches: at least one.
        first_step: 0-based number of the first step over the whole training.

    Returns:
        Mean loss over the epoch's pictures, and the number of steps taken.

    Raises:
        ModelError: a loss was NaN or infinite; the checkpoint of the epoch before is whole.
    """
    learner.network.train()
    device = learner.accelerator.device
    losses, sizes = [], []
    for step, (pictures_BCHW, targets_B) in enumerate(batches, start=first_step):
        set_learning_rate(learner.optimiser, learner.learning_rate(step))
        learner.optimiser.zero_grad()  # before the forward pass, which can then use the gradients' memory
        logits_BK = learner.network(to_network(pictures_BCHW, learner.normalise, device=device))
        loss = learner.loss(logits_BK, targets_B.to(device, non_blocking=True))
        learner.accelerator.backward(loss)
        learner.optimiser.step()
        # read at the end of the epoch: asking a GPU for a number every step would make it wait
        losses.append(loss.detach())
        sizes.append(len(targets_B))
    return _mean_loss(torch.stack(losses), sizes, first_step=first_step), len(sizes)


def judge(learner: Learner, batches: Batches) -> dict[str, float]:
    """Return loss, accuracy and f1_macro of the network on val.

    The loss is the cross entropy without label smoothing, so that it compares between experiments.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    logits_NK, targets_N = forward_batches(
        learner.network, batches, learner.normalise, device=learner.accelerator.device
    )
    loss = float(nn.functional.cross_entropy(torch.from_numpy(logits_NK), torch.from_numpy(targets_N)))
    if not math.isfinite(loss):
        raise ModelError("validation", f"the loss on val is {loss}", _FIX)
    matrix = confusion.confusion_matrix(targets_N, logits_NK.argmax(axis=1), num_classes=logits_NK.shape[1])
    return {
        "loss": loss,
        "accuracy": float(confusion.accuracy(matrix)),
        "f1_macro": float(confusion.macro(confusion.f1(matrix), matrix)),
    }


def _mean_loss(losses: Tensor, sizes: list[int], *, first_step: int) -> float:
    values = losses.double().cpu()
    if not bool(values.isfinite().all()):
        index = int((~values.isfinite()).nonzero()[0])
        where = f"training, step {first_step + index + 1}"
        raise ModelError(where, f"the loss is {float(values[index])}", _FIX)
    weights = torch.tensor(sizes, dtype=torch.float64)
    return float((values * weights).sum() / weights.sum())


_FIX = "lower optimiser.learning_rate, or raise schedule.warmup_epochs"
