"""What a classifier returns.

Legend: B batch, K classes.
"""

from typing import NamedTuple

from torch import Tensor


class WithAuxiliaries(NamedTuple):
    """What a network with further classifiers on its way returns in training mode; else it is logits alone.

    Source: Szegedy et al. 2015, Going deeper with convolutions, section 5.
    """

    logits: Tensor  # B x K
    auxiliaries: tuple[Tensor, ...]  # B x K each, the one nearest to the input first
