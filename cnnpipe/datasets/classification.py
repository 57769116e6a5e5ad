"""Batches of a classification view.

Legend: B batch, C channels, H W pixels.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cnnpipe.annotations import Split
from cnnpipe.datasets.loading import Draw, Order, Preprocess, positions_loader, stack
from cnnpipe.datasets.orders import class_balanced, shuffled
from cnnpipe.datasets.packs import OpenView, Picture, picture_at, positions_of
from cnnpipe.datasets.records import Sample

Augment = Callable[[Picture, int], Picture]  # picture, seed -> picture; all of one size


class Batch(NamedTuple):
    """Pictures (B, C, H, W) uint8, not yet normalised, and their classes (B,) int64."""

    pictures: Tensor
    class_index: Tensor


def batch_maker(opened: OpenView[Sample], augment: Augment) -> Callable[[Sequence[Draw]], Batch]:
    """Return what makes a batch of draws.

    Args:
        opened: the view.
        augment: from a picture and a seed to a picture of the network's size.
    """
    return partial(_make_batch, opened=opened, augment=augment)


def order_of(opened: OpenView[Sample], sampling: Literal["shuffled", "class_balanced"]) -> Order:
    """Return the order of train; shuffled: each sample once; class_balanced: see `orders`."""
    return shuffled if sampling == "shuffled" else _class_balanced(opened)


def evaluation_loader(
    opened: OpenView[Sample], preprocess: Preprocess, *, split: Split, batch_size: int, num_workers: int
) -> DataLoader[Batch]:
    """Return the loader of a split without augmentation, in the order of `packs.positions_of`."""
    make_batch = batch_maker(opened, partial(without_seed, preprocess=preprocess))
    positions = positions_of(opened, split)
    return positions_loader(positions, make_batch, batch_size=batch_size, num_workers=num_workers)


def _make_batch(draws: Sequence[Draw], *, opened: OpenView[Sample], augment: Augment) -> Batch:
    pictures = (augment(picture_at(opened, draw.position), draw.seed) for draw in draws)
    class_index_B = [opened.samples[draw.position].class_index for draw in draws]
    return Batch(stack(pictures, number=len(draws)), torch.tensor(class_index_B))


def _class_balanced(opened: OpenView[Sample]) -> Order:
    class_index = [opened.samples[position].class_index for position in positions_of(opened, "train")]

    def order(positions: Sequence[int], *, seed: int, epoch: int) -> list[int]:
        return class_balanced(positions, class_index, seed=seed, epoch=epoch)

    return order


def without_seed(picture: Picture, seed: int, *, preprocess: Preprocess) -> Picture:
    """Return the picture preprocessed; in the place of an augmentation."""
    del seed
    return preprocess(picture)
