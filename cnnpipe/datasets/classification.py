"""Batches of a classification view: which pictures, in which order, drawn from which seeds.

Everything random is decided before a picture is read: a draw is the position of a sample and the seed of its
augmentation, so results depend neither on the number of workers nor on the size of a batch.

Legend: B batch, C channels, H W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, Picture, picture_at, positions_of
from cnnpipe.seeding import seed_of

Augment = Callable[[Picture, int], Picture]  # picture, seed -> picture; all of one size
Preprocess = Callable[[Picture], Picture]  # all of one size


class Draw(NamedTuple):
    """One picture of a batch."""

    position: int  # in the view
    seed: int  # of its augmentation


class Batch(NamedTuple):
    """Pictures (B, C, H, W) uint8, not yet normalised, and their classes (B,) int64."""

    pictures: Tensor
    class_index: Tensor


class EpochBatches(Sampler[list[Draw]]):
    """The batches of train in one epoch: a permutation of its samples that seed and epoch decide.

    The last batch holds what is left over; a single left-over sample goes into the batch before it,
    since a batch of one has no variance to normalise by.
    """

    def __init__(self, opened: OpenView, *, batch_size: int, seed: int) -> None:
        self._positions = positions_of(opened, "train")
        self._sample_ids = {position: opened.samples[position].sample_id for position in self._positions}
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 1, that the next walk through the batches is of."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(_batch_starts(len(self._positions), self._batch_size))

    def __iter__(self) -> Iterator[list[Draw]]:
        seed, epoch = self._seed, self._epoch
        order = np.random.default_rng(seed_of(seed, "order", epoch)).permutation(self._positions).tolist()
        draws = [Draw(p, seed_of(seed, "augment", epoch, self._sample_ids[p])) for p in order]
        starts = _batch_starts(len(draws), self._batch_size)
        for start, end in zip(starts, [*starts[1:], len(draws)], strict=True):
            yield draws[start:end]


class PackedPictures(Dataset[Batch]):
    """Turns lists of draws into batches."""

    def __init__(self, opened: OpenView, augment: Augment) -> None:
        self._opened = opened
        self._augment = augment

    def __getitem__(self, draw: Draw) -> Batch:
        """Return a batch of one."""
        return self.__getitems__([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Return the batch of `draws`; torch asks for whole batches where this method exists."""
        first = self._picture(draws[0])
        pictures_BHWC = np.empty((len(draws), *first.shape), dtype=np.uint8)
        pictures_BHWC[0] = first
        for i, draw in enumerate(draws[1:], start=1):
            pictures_BHWC[i] = self._picture(draw)
        class_index_B = [self._opened.samples[draw.position].class_index for draw in draws]
        # a view: the network wants channels last in memory, as they are here
        return Batch(torch.from_numpy(pictures_BHWC).permute(0, 3, 1, 2), torch.tensor(class_index_B))

    def _picture(self, draw: Draw) -> Picture:
        return self._augment(picture_at(self._opened, draw.position), draw.seed)


def training_loader(
    opened: OpenView, augment: Augment, *, batch_size: int, seed: int, num_workers: int
) -> DataLoader[Batch]:
    """Return the loader of train; `batches_of_epoch` walks through it.

    Args:
        opened: the view.
        augment: from a picture and a seed to a picture of the network's size.
        batch_size: pictures per batch.
        seed: of the order and of the augmentation.
        num_workers: processes that read ahead; 0: read in this one. The batches are the same.
    """
    batches = EpochBatches(opened, batch_size=batch_size, seed=seed)
    return _loader(PackedPictures(opened, augment), batches, num_workers)


def batches_of_epoch(loader: DataLoader[Batch], epoch: int) -> Iterator[Batch]:
    """Return the batches of one epoch, from 1; the workers live on from epoch to epoch."""
    if not isinstance(loader.batch_sampler, EpochBatches):
        raise TypeError("a loader made by training_loader is needed")
    loader.batch_sampler.set_epoch(epoch)
    return iter(loader)


def evaluation_loader(
    opened: OpenView, preprocess: Preprocess, *, split: Split, batch_size: int, num_workers: int
) -> DataLoader[Batch]:
    """Return the loader of a split without augmentation, in the order of `packs.positions_of`."""
    draws = [Draw(position, 0) for position in positions_of(opened, split)]
    batches = [draws[start : start + batch_size] for start in range(0, len(draws), batch_size)]
    return _loader(
        PackedPictures(opened, partial(_without_seed, preprocess=preprocess)), batches, num_workers
    )


def _without_seed(picture: Picture, seed: int, *, preprocess: Preprocess) -> Picture:
    del seed
    return preprocess(picture)


def _batch_starts(num_samples: int, batch_size: int) -> list[int]:
    starts = list(range(0, num_samples, batch_size))
    has_single = num_samples > batch_size > 1 and num_samples % batch_size == 1
    return starts[:-1] if has_single else starts


def _loader(
    dataset: PackedPictures, batches: Sampler[list[Draw]] | list[list[Draw]], num_workers: int
) -> DataLoader[Batch]:
    in_workers = num_workers > 0
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=_as_it_is,
        # its own, so that the loader draws nothing from the stream that dropout draws from
        generator=torch.Generator(),
        num_workers=num_workers,
        persistent_workers=in_workers,
        # a forked worker shares the mapped file; a spawned one would import torch again, which takes seconds
        multiprocessing_context="fork" if in_workers else None,
        worker_init_fn=_use_one_thread if in_workers else None,
    )


def _as_it_is(batch: Any) -> Any:
    """Return the batch: `__getitems__` has made it, where torch expects a list of samples."""
    return batch


def _use_one_thread(worker: int) -> None:
    del worker
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
