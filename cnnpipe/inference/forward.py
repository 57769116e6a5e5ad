"""Pictures through a network, in order and without gradients.

Legend: B batch, N samples, C channels, H W pixels, K classes.
"""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Normalise = Callable[[Tensor], Tensor]


def forward_batches(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    normalise: Normalise,
    *,
    device: torch.device,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the logits of every sample and its target.

    Args:
        network: a classifier on `device`; left in evaluation mode.
        batches: pictures_BCHW uint8 and targets_B, in the order wanted.
        normalise: from uint8 to what the network sees.
        device: where the network is.

    Returns:
        logits_NK and targets_N; both empty when there is no batch.
    """
    network.eval()
    logits, targets = [], []
    with torch.inference_mode():
        for pictures_BCHW, targets_B in batches:
            logits.append(network(to_network(pictures_BCHW, normalise, device=device)))
            targets.append(targets_B)
    if not logits:
        return np.zeros((0, 0)), np.zeros(0, dtype=np.int64)
    # fetched at the end: a GPU would wait for each batch to be fetched
    return torch.cat(logits).cpu().double().numpy(), torch.cat(targets).long().numpy()


def to_network(pictures_BCHW: Tensor, normalise: Normalise, *, device: torch.device) -> Tensor:
    """Return uint8 pictures as the network sees them: on its device, normalised, channels last.

    With channels last lite0 trains 2.0 and ResNet-18 1.2 times as fast on a CPU.
    """
    on_device = pictures_BCHW.to(device, non_blocking=True)
    return normalise(on_device).contiguous(memory_format=torch.channels_last)


def softmax(logits_NK: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return scores in [0, 1] that sum to 1 over the classes: exp(z_k) / Σ_j exp(z_j).

    The largest logit is taken off first, which changes nothing but overflow.
    """
    powers = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
