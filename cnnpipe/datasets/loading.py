"""Which pictures a batch holds, in which order, drawn from which seeds; and the processes that read ahead.

Everything random is decided before a picture is read: a draw is the position of a sample and the seed of its
augmentation, so results depend neither on the number of workers nor on the size of a batch. What a batch is
made of besides its pictures is the task's own affair.

Legend: B batch, C channels, H W pixels.
"""

import ctypes
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cnnpipe.datasets.orders import shuffled
from cnnpipe.datasets.packs import AnySample, OpenView, Picture, positions_of
from cnnpipe.seeding import seed_of
from cnnpipe.shares import Share

AnyBatch = TypeVar("AnyBatch")
Order = Callable[..., Sequence[int]]  # positions, *, seed, epoch -> positions
Preprocess = Callable[[Picture], Picture]  # all of one size

_PR_SET_PDEATHSIG: Final = 1


class Draw(NamedTuple):
    """One picture of a batch."""

    position: int  # in the view
    seed: int  # of its augmentation


class EpochBatches(Sampler[list[Draw]]):
    """The batches of train in one epoch, which seed and epoch decide.

    The last batch holds what is left over; a single left-over sample goes into the batch before it,
    since a batch of one has no variance to normalise by. A process whose share of a batch is empty is given
    the first picture, which is not to count.
    """

    def __init__(
        self, opened: OpenView[AnySample], order: Order, *, batch_size: int, seed: int, share: Share
    ) -> None:
        positions = positions_of(opened, "train")
        self._order = partial(order, positions, seed=seed)
        self._sample_ids = [sample.sample_id for sample in opened.samples]
        self._starts = _batch_starts(len(positions), batch_size)
        self._num_draws = len(positions)
        self._seed = seed
        self._share = share
        self._epoch, self._first = 1, 0

    def go_to(self, epoch: int, first: int) -> None:
        """Choose what the next walk is of: the epoch, from 1, and the first of its batches, from 0."""
        self._epoch, self._first = epoch, first

    @property
    def sizes(self) -> list[int]:
        """Pictures of each batch, in all processes together."""
        ends = [*self._starts[1:], self._num_draws]
        return [end - start for start, end in zip(self._starts, ends, strict=True)]

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[Draw]]:
        draws = self._draws(self._epoch)
        sizes, rank, num_ranks = self.sizes, self._share.rank, self._share.num_ranks
        for start, size in list(zip(self._starts, sizes, strict=True))[self._first :]:
            batch = draws[start : start + size]
            yield batch[rank::num_ranks] or batch[:1]

    def _draws(self, epoch: int) -> list[Draw]:
        times: Counter[int] = Counter()
        draws = []
        for position in self._order(epoch=epoch):
            again = (times[position],) if times[position] else ()  # drawn again, it changes otherwise
            seed = seed_of(self._seed, "augment", epoch, self._sample_ids[position], *again)
            draws.append(Draw(position, seed))
            times[position] += 1
        return draws


class DrawnBatches(Dataset[AnyBatch]):
    """Turns lists of draws into batches."""

    def __init__(self, make_batch: Callable[[Sequence[Draw]], AnyBatch]) -> None:
        self._make_batch = make_batch

    def __getitem__(self, draw: Draw) -> AnyBatch:
        """Return a batch of one."""
        return self._make_batch([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> AnyBatch:
        """Return the batch of `draws`; torch asks for whole batches where this method exists."""
        return self._make_batch(draws)


def epoch_loader(  # noqa: PLR0913 (each decides something else)
    opened: OpenView[AnySample],
    make_batch: Callable[[Sequence[Draw]], AnyBatch],
    *,
    batch_size: int,
    seed: int,
    num_workers: int,
    order: Order = shuffled,
    share: Share = Share(),  # noqa: B008 (it is frozen)
) -> DataLoader[AnyBatch]:
    """Return the loader of train; `batches_of_epoch` walks through it.

    Args:
        opened: the view.
        make_batch: from draws to what is trained on.
        batch_size: pictures per batch.
        seed: of the order and of the augmentation.
        num_workers: processes that read ahead; 0: read in this one. The batches are the same.
        order: positions of train, seed and epoch -> the positions of an epoch in their order.
        share: what this process computes of each batch.
    """
    batches = EpochBatches(opened, order, batch_size=batch_size, seed=seed, share=share)
    return _loader(make_batch, batches, num_workers)


def batches_of_epoch(loader: DataLoader[AnyBatch], epoch: int, first: int = 0) -> Iterator[AnyBatch]:
    """Return the batches of one epoch, from 1; the workers live on from epoch to epoch.

    Args:
        loader: of train.
        epoch: from 1.
        first: the batch to begin with, from 0; those before it are not read.
    """
    _epoch_batches(loader).go_to(epoch, first)
    return iter(loader)


def batch_sizes(loader: DataLoader[AnyBatch]) -> list[int]:
    """Return the pictures of each batch of an epoch, in all processes together; all epochs are alike."""
    return _epoch_batches(loader).sizes


def positions_loader(
    positions: Sequence[int],
    make_batch: Callable[[Sequence[Draw]], AnyBatch],
    *,
    batch_size: int,
    num_workers: int,
) -> DataLoader[AnyBatch]:
    """Return the loader of the samples at `positions`, in that order; every seed is 0."""
    draws = [Draw(position, 0) for position in positions]
    batches = [draws[start : start + batch_size] for start in range(0, len(draws), batch_size)]
    return _loader(make_batch, batches, num_workers)


def pinned(loader: DataLoader[AnyBatch], *, is_wanted: bool) -> DataLoader[AnyBatch]:
    """Let the loader give its batches in memory that is never paged out, or not; return it.

    A GPU copies such a batch while it computes on the one before. Without a GPU torch refuses it.
    """
    loader.pin_memory = is_wanted
    return loader


def stack(pictures: Iterable[Picture], *, number: int) -> Tensor:
    """Return `number` pictures HWC uint8, all of one size, as a tensor (B, C, H, W).

    It is a view: the network wants channels last in memory, as they are here.
    """
    rest = iter(pictures)
    first = next(rest)
    pictures_BHWC = np.empty((number, *first.shape), dtype=np.uint8)
    pictures_BHWC[0] = first
    for index, picture in enumerate(rest, start=1):
        pictures_BHWC[index] = picture
    return torch.from_numpy(pictures_BHWC).permute(0, 3, 1, 2)


def _epoch_batches(loader: DataLoader[AnyBatch]) -> EpochBatches:
    if not isinstance(loader.batch_sampler, EpochBatches):
        raise TypeError("a loader of train is needed, as `epoch_loader` makes them")
    return loader.batch_sampler


def _batch_starts(num_samples: int, batch_size: int) -> list[int]:
    starts = list(range(0, num_samples, batch_size))
    has_single = num_samples > batch_size > 1 and num_samples % batch_size == 1
    return starts[:-1] if has_single else starts


def _loader(
    make_batch: Callable[[Sequence[Draw]], AnyBatch],
    batches: Sampler[list[Draw]] | list[list[Draw]],
    num_workers: int,
) -> DataLoader[AnyBatch]:
    in_workers = num_workers > 0
    return DataLoader(
        DrawnBatches(make_batch),
        batch_sampler=batches,
        collate_fn=_as_it_is,
        # its own, so that the loader draws nothing from the stream that dropout draws from
        generator=torch.Generator(),
        num_workers=num_workers,
        persistent_workers=in_workers,
        # a forked worker shares the mapped file; a spawned one would import torch again, which takes seconds
        multiprocessing_context="fork" if in_workers else None,
        worker_init_fn=_begin_worker if in_workers else None,
    )


def _as_it_is(batch: Any) -> Any:
    """Return the batch: `__getitems__` has made it, where torch expects a list of samples."""
    return batch


def _begin_worker(worker: int) -> None:
    """Use one thread, and end with the training and not before it.

    A signal to the training's group asks for a last checkpoint; a worker that ended there and then would
    break the step in hand. In a group of its own it gets none; Linux ends it with the process that made it.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    del worker
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setpgid(0, 0)
