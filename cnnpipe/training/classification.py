"""The objective of classification: cross entropy.

Legend: B batch, C channels, H W pixels, K classes.
"""

from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from cnnpipe.evaluation import confusion
from cnnpipe.inference.forward import Normalise, forward_batches, to_network
from cnnpipe.params.losses import ClassifyLossParams, CrossEntropyParams
from cnnpipe.training.losses import cross_entropy, finite_on_val
from cnnpipe.training.objective import Objective

Batch = tuple[Tensor, Tensor]  # pictures_BCHW uint8, targets_B


def classification_objective(normalise: Normalise, loss: ClassifyLossParams) -> Objective[Batch]:
    """Return the objective of a classifier.

    Args:
        normalise: from uint8 to what the network sees.
        loss: what training makes small.
    """
    return Objective(
        losses=partial(_losses, normalise=normalise, loss=loss),
        judge=partial(judge, normalise=normalise),
    )


def judge(
    network: nn.Module, batches: Iterable[Batch], device: torch.device, *, normalise: Normalise
) -> dict[str, float]:
    """Return loss, accuracy and f1_macro of the network on val.

    The loss is the cross entropy without label smoothing, so that it compares between experiments.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    logits_NK, targets_N = forward_batches(network, batches, normalise, device=device)
    loss = float(nn.functional.cross_entropy(torch.from_numpy(logits_NK), torch.from_numpy(targets_N)))
    finite_on_val(loss)
    matrix = confusion.confusion_matrix(targets_N, logits_NK.argmax(axis=1), num_classes=logits_NK.shape[1])
    return {
        "loss": loss,
        "accuracy": float(confusion.accuracy(matrix)),
        "f1_macro": float(confusion.macro(confusion.f1(matrix), matrix)),
    }


def _losses(
    network: nn.Module, batch: Batch, device: torch.device, *, normalise: Normalise, loss: ClassifyLossParams
) -> Mapping[str, Tensor]:
    pictures_BCHW, targets_B = batch
    logits_BK = network(to_network(pictures_BCHW, normalise, device=device))
    targets_B = targets_B.to(device, non_blocking=True)
    if not isinstance(loss, CrossEntropyParams):
        raise NotImplementedError(loss.name)
    return {"cross_entropy": cross_entropy(logits_BK, targets_B, label_smoothing=loss.label_smoothing)}
