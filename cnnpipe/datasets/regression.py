"""Batches of a regression view.

Legend: B batch, C channels, H W pixels.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cnnpipe.annotations import Split
from cnnpipe.datasets.classification import Augment, without_seed
from cnnpipe.datasets.loading import Draw, Preprocess, positions_loader, stack
from cnnpipe.datasets.packs import OpenView, picture_at, positions_of
from cnnpipe.datasets.records import RegressSample


class RegressBatch(NamedTuple):
    """Pictures (B, C, H, W) uint8, not yet normalised, and their numbers (B,) float64, in their own unit."""

    pictures: Tensor
    values: Tensor


def regress_batch_maker(
    opened: OpenView[RegressSample], augment: Augment
) -> Callable[[Sequence[Draw]], RegressBatch]:
    """Return what makes a batch of draws.

    Args:
        opened: the view.
        augment: from a picture and a seed to a picture of the network's size.
    """
    return partial(_make_batch, opened=opened, augment=augment)


def regress_evaluation_loader(
    opened: OpenView[RegressSample],
    preprocess: Preprocess,
    *,
    split: Split,
    batch_size: int,
    num_workers: int,
) -> DataLoader[RegressBatch]:
    """Return the loader of a split without augmentation, in the order of `packs.positions_of`."""
    make_batch = regress_batch_maker(opened, partial(without_seed, preprocess=preprocess))
    positions = positions_of(opened, split)
    return positions_loader(positions, make_batch, batch_size=batch_size, num_workers=num_workers)


def _make_batch(draws: Sequence[Draw], *, opened: OpenView[RegressSample], augment: Augment) -> RegressBatch:
    pictures = (augment(picture_at(opened, draw.position), draw.seed) for draw in draws)
    values_B = [opened.samples[draw.position].value for draw in draws]
    return RegressBatch(
        stack(pictures, number=len(draws)),
        torch.tensor(values_B, dtype=torch.float64),
    )
