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
    """Return the logits of every sample and its class_index; arguments as of `forward`.

    Returns:
        logits_NK and targets_N; both empty when there is no batch.
    """
    logits_NK, targets_N = forward(network, batches, normalise, device=device)
    return logits_NK.numpy(), targets_N.long().numpy()


def forward(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    normalise: Normalise,
    *,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return the outputs of every sample and its target, both on the CPU.

    Args:
        network: of a classifier or a regressor, on `device`; left in evaluation mode.
        batches: pictures_BCHW uint8 and targets_B, in the order wanted.
        normalise: from uint8 to what the network sees.
        device: where the network is.

    Returns:
        outputs_NK float64 and targets_N; both empty when there is no batch.
    """
    network.eval()
    outputs, targets = [], []
    with torch.inference_mode():
        for pictures_BCHW, targets_B in batches:
            outputs.append(network(to_network(pictures_BCHW, normalise, device=device)))
            targets.append(targets_B)
    if not outputs:
        return torch.zeros(0, 0, dtype=torch.float64), torch.zeros(0)
    # fetched at the end: a GPU would wait for each batch to be fetched
    return torch.cat(outputs).cpu().double(), torch.cat(targets)


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
