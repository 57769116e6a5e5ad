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


def logits_and_auxiliaries(outputs: Tensor | WithAuxiliaries) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return what a network in training mode says, float32, and what those on its way say, if any."""
    if isinstance(outputs, WithAuxiliaries):
        return outputs.logits.float(), tuple(each.float() for each in outputs.auxiliaries)
    return outputs.float(), ()
