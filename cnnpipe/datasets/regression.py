"""Batches of a regression view.

Legend: B batch, C channels, H W pixels.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cnnpipe.annotations import Split
from cnnpipe.datasets.classification import Augment, Preprocess
from cnnpipe.datasets.loading import Draw, Share, epoch_loader, positions_loader, stack
from cnnpipe.datasets.packs import OpenView, Picture, picture_at, positions_of
from cnnpipe.datasets.records import RegressSample


class RegressBatch(NamedTuple):
    """Pictures (B, C, H, W) uint8, not yet normalised, and their numbers (B,) float64, in their own unit."""

    pictures: Tensor
    values: Tensor


def regress_training_loader(  # noqa: PLR0913 (each decides something else)
    opened: OpenView[RegressSample],
    augment: Augment,
    *,
    batch_size: int,
    seed: int,
    num_workers: int,
    share: Share = Share(),  # noqa: B008 (it is frozen)
) -> DataLoader[RegressBatch]:
    """Return the loader of train; `loading.batches_of_epoch` walks through it.

    Args:
        opened: the view.
        augment: from a picture and a seed to a picture of the network's size.
        batch_size: pictures per batch.
        seed: of the order and of the augmentation.
        num_workers: processes that read ahead; 0: read in this one. The batches are the same.
        share: what this process computes of each batch.
    """
    make_batch = partial(_make_batch, opened=opened, augment=augment)
    return epoch_loader(
        opened, make_batch, batch_size=batch_size, seed=seed, num_workers=num_workers, share=share
    )


def regress_evaluation_loader(
    opened: OpenView[RegressSample],
    preprocess: Preprocess,
    *,
    split: Split,
    batch_size: int,
    num_workers: int,
) -> DataLoader[RegressBatch]:
    """Return the loader of a split without augmentation, in the order of `packs.positions_of`."""
    make_batch = partial(_make_batch, opened=opened, augment=partial(_without_seed, preprocess=preprocess))
    positions = positions_of(opened, split)
    return positions_loader(positions, make_batch, batch_size=batch_size, num_workers=num_workers)


def _make_batch(draws: Sequence[Draw], *, opened: OpenView[RegressSample], augment: Augment) -> RegressBatch:
    pictures = (augment(picture_at(opened, draw.position), draw.seed) for draw in draws)
    values_B = [opened.samples[draw.position].value for draw in draws]
    return RegressBatch(
        stack(pictures, number=len(draws)),
        torch.tensor(values_B, dtype=torch.float64),
    )


def _without_seed(picture: Picture, seed: int, *, preprocess: Preprocess) -> Picture:
    del seed
    return preprocess(picture)
