"""How samples are drawn and loaded, seen through the loaders of classification."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from toy_views import make_view

from cnnpipe.datasets.classification import Batch, batch_maker, evaluation_loader
from cnnpipe.datasets.loading import EpochBatches, batches_of_epoch, epoch_loader, pinned
from cnnpipe.datasets.orders import shuffled
from cnnpipe.datasets.packs import OpenView, Picture, open_view, picture_at, positions_of
from cnnpipe.datasets.records import Sample
from cnnpipe.shares import Share


def shrink(picture: Picture) -> Picture:
    return picture[:8, :8]


def add_seed(picture: Picture, seed: int) -> Picture:
    """Stand for an augmentation: the seed decides the result."""
    return shrink(picture) + np.uint8(seed % 251)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenView[Sample]:
    folder = tmp_path_factory.mktemp("view")
    make_view(folder, copies=1)
    return open_view(folder)


@pytest.fixture(scope="module")
def all_train(tmp_path_factory: pytest.TempPathFactory) -> OpenView[Sample]:
    folder = tmp_path_factory.mktemp("train")
    make_view(folder, splits=["train"], num_samples=40)
    return open_view(folder)


def in_one(batches: Iterable[Batch]) -> tuple[bytes, list[int]]:
    pictures, classes = zip(*batches, strict=True)
    return torch.cat(pictures).numpy().tobytes(), torch.cat(classes).tolist()


def as_set(batches: Iterable[Batch]) -> set[tuple[bytes, int]]:
    return {
        (picture.numpy().tobytes(), int(index))
        for batch in batches
        for picture, index in zip(batch.pictures, batch.class_index, strict=True)
    }


def load(
    opened: OpenView[Sample], *, batch_size: int = 5, seed: int = 1, num_workers: int = 0
) -> DataLoader[Batch]:
    make_batch = batch_maker(opened, add_seed)
    return epoch_loader(opened, make_batch, batch_size=batch_size, seed=seed, num_workers=num_workers)


def test_batches_are_uint8_bchw_with_their_classes(opened: OpenView[Sample]) -> None:
    batches = list(evaluation_loader(opened, shrink, split="val", batch_size=4, num_workers=0))
    assert [len(batch.pictures) for batch in batches] == [4, 2]
    pictures, class_index = batches[0]
    assert (pictures.shape, pictures.dtype, class_index.dtype) == ((4, 3, 8, 8), torch.uint8, torch.int64)
    for batch_index, position in enumerate(positions_of(opened, "val")[:4]):
        expected = shrink(picture_at(opened, position)).transpose(2, 0, 1)
        assert (pictures[batch_index].numpy() == expected).all()
        assert class_index[batch_index] == opened.samples[position].class_index


def test_an_epoch_is_a_permutation_of_train_and_nothing_else(opened: OpenView[Sample]) -> None:
    batches = EpochBatches(opened, shuffled, batch_size=5, seed=1, share=Share())
    for epoch in (1, 2):
        batches.go_to(epoch, 0)
        drawn = [draw.position for batch in batches for draw in batch]
        assert sorted(drawn) == positions_of(opened, "train")
        assert drawn != sorted(drawn)


def test_epoch_and_seed_decide_order_and_augmentation(opened: OpenView[Sample]) -> None:
    loader = load(opened)
    first, second = in_one(batches_of_epoch(loader, 1)), in_one(batches_of_epoch(loader, 2))
    assert first != second
    # not in their order only
    assert not as_set(batches_of_epoch(loader, 1)) & as_set(batches_of_epoch(loader, 2))
    assert in_one(batches_of_epoch(loader, 1)) == first  # going back to an epoch gives it again
    assert in_one(batches_of_epoch(load(opened), 2)) == second  # and so does a fresh start at it
    assert in_one(batches_of_epoch(load(opened, seed=2), 1)) != first


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than this machine has cores
@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_do_not_change_batches(opened: OpenView[Sample], num_workers: int) -> None:
    alone, helped = load(opened), load(opened, num_workers=num_workers)
    for epoch in (1, 2, 5):
        expected = list(batches_of_epoch(alone, epoch))
        found = list(batches_of_epoch(helped, epoch))
        assert len(found) == len(expected)
        for one, other in zip(expected, found, strict=True):
            assert torch.equal(one.pictures, other.pictures)
            assert torch.equal(one.class_index, other.class_index)


def test_the_size_of_a_batch_does_not_change_its_pictures(opened: OpenView[Sample]) -> None:
    whole = in_one(batches_of_epoch(load(opened, batch_size=24), 3))
    for batch_size in (1, 7, 8):
        assert in_one(batches_of_epoch(load(opened, batch_size=batch_size), 3)) == whole


def test_other_samples_do_not_change_a_samples_augmentation(tmp_path: Path) -> None:
    make_view(tmp_path / "all")
    make_view(tmp_path / "fewer", num_samples=12)
    every, fewer = (
        as_set(batches_of_epoch(load(open_view(tmp_path / name)), 1)) for name in ("all", "fewer")
    )
    assert len(every) == 12
    assert len(fewer) == 6
    assert fewer < every


def test_a_samples_place_in_the_view_does_not_change_its_augmentation(opened: OpenView[Sample]) -> None:
    turned = msgspec.structs.replace(opened, samples=opened.samples[::-1])
    assert as_set(batches_of_epoch(load(turned), 1)) == as_set(batches_of_epoch(load(opened), 1))


def test_loading_draws_nothing_from_the_stream_of_dropout(opened: OpenView[Sample]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    for num_workers in (0, 1):
        torch.manual_seed(3)
        list(batches_of_epoch(load(opened, num_workers=num_workers), 1))
        assert torch.equal(torch.rand(4), expected)


@given(st.integers(1, 40), st.integers(1, 12))
def test_batches_hold_every_sample_once_and_none_a_single_one(
    all_train: OpenView[Sample], num_samples: int, batch_size: int
) -> None:
    some = msgspec.structs.replace(all_train, samples=all_train.samples[:num_samples])
    batches = EpochBatches(some, shuffled, batch_size=batch_size, seed=0, share=Share())
    sizes = [len(batch) for batch in batches]
    assert sum(sizes) == num_samples
    assert len(sizes) == len(batches)
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size + 1
    assert 1 not in sizes or batch_size == 1 or num_samples == 1


def test_evaluation_needs_samples_of_no_other_split(opened: OpenView[Sample]) -> None:
    loader = evaluation_loader(opened, shrink, split="test", batch_size=64, num_workers=1)
    (batch,) = loader
    assert batch.class_index.tolist() == [
        sample.class_index for sample in opened.samples if sample.split == "test"
    ]


def test_an_evaluation_loader_has_no_epochs(opened: OpenView[Sample]) -> None:
    loader = evaluation_loader(opened, shrink, split="test", batch_size=64, num_workers=0)
    with pytest.raises(TypeError, match="a loader of train is needed"):
        batches_of_epoch(loader, 1)


def test_a_loader_is_pinned_when_that_is_wanted_only(opened: OpenView[Sample]) -> None:
    """That torch then does pin is tested on a GPU: tests/gpu."""
    assert not load(opened).pin_memory
    assert not pinned(load(opened), is_wanted=False).pin_memory
    assert pinned(load(opened), is_wanted=True).pin_memory
