"""Which pictures a batch holds, in which order, drawn from which seeds; and the processes that read ahead.

Everything random is decided before a picture is read: a draw is the position of a sample and the seed of its
augmentation, so results depend neither on the number of workers nor on the size of a batch. What a batch is
made of besides its pictures is the task's own affair.

Legend: B batch, C channels, H W pixels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cnnpipe.datasets.packs import AnySample, OpenView, Picture, positions_of
from cnnpipe.seeding import seed_of

AnyBatch = TypeVar("AnyBatch")


class Draw(NamedTuple):
    """One picture of a batch."""

    position: int  # in the view
    seed: int  # of its augmentation


class EpochBatches(Sampler[list[Draw]]):
    """The batches of train in one epoch: a permutation of its samples that seed and epoch decide.

    The last batch holds what is left over; a single left-over sample goes into the batch before it,
    since a batch of one has no variance to normalise by.
    """

    def __init__(self, opened: OpenView[AnySample], *, batch_size: int, seed: int) -> None:
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


def epoch_loader(
    opened: OpenView[AnySample],
    make_batch: Callable[[Sequence[Draw]], AnyBatch],
    *,
    batch_size: int,
    seed: int,
    num_workers: int,
) -> DataLoader[AnyBatch]:
    """Return the loader of train; `batches_of_epoch` walks through it.

    Args:
        opened: the view.
        make_batch: from draws to what is trained on.
        batch_size: pictures per batch.
        seed: of the order and of the augmentation.
        num_workers: processes that read ahead; 0: read in this one. The batches are the same.
    """
    return _loader(make_batch, EpochBatches(opened, batch_size=batch_size, seed=seed), num_workers)


def batches_of_epoch(loader: DataLoader[AnyBatch], epoch: int) -> Iterator[AnyBatch]:
    """Return the batches of one epoch, from 1; the workers live on from epoch to epoch."""
    if not isinstance(loader.batch_sampler, EpochBatches):
        raise TypeError(
            "a loader of train is needed, as training_loader and detect_training_loader make them"
        )
    loader.batch_sampler.set_epoch(epoch)
    return iter(loader)


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
        worker_init_fn=_use_one_thread if in_workers else None,
    )


def _as_it_is(batch: Any) -> Any:
    """Return the batch: `__getitems__` has made it, where torch expects a list of samples."""
    return batch


def _use_one_thread(worker: int) -> None:
    del worker
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
