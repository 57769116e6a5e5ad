"""What training makes small.

Legend: B batch, K classes.
"""

from torch import Tensor
from torch.nn import functional


def cross_entropy(logits_BK: Tensor, targets_B: Tensor, *, label_smoothing: float) -> Tensor:
    """Return the mean over the batch of -Σ_k q_k ln p_k, with p the softmax of the logits.

    q is 1 - s + s/K for the true class and s/K for every other: s = 0 gives -ln p of the true class.

    Args:
        logits_BK: what the network says.
        targets_B: true class, 0-based.
        label_smoothing: s, the share of certainty given away, in [0, 1).

    Returns:
        A scalar in nats, at least 0.

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture, section 7.
    """
    return functional.cross_entropy(logits_BK, targets_B, label_smoothing=label_smoothing)
