from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from toy_views import make_detect_view

from cnnpipe.annotations import Split
from cnnpipe.datasets.detection import (
    Boxes,
    DetectBatch,
    Kept,
    boxes_of,
    detect_batch_maker,
    detect_evaluation_loader,
)
from cnnpipe.datasets.loading import batches_of_epoch, epoch_loader
from cnnpipe.datasets.packs import OpenView, Picture, open_detect_view, picture_at, positions_of
from cnnpipe.datasets.records import DetectSample
from cnnpipe.geometry.placement import onto_square, place

SIDE_PX = 32


def corner(picture: Picture) -> Picture:
    return picture[:SIDE_PX, :SIDE_PX]


def augment(picture: Picture, boxes_N4: Boxes, seed: int) -> tuple[Picture, Boxes, Kept]:
    """Stand for an augmentation: the seed decides the result, and the first box is lost."""
    kept_M = np.arange(1, len(boxes_N4))
    return corner(picture) + np.uint8(seed % 251), boxes_N4[kept_M] + seed % 7, kept_M


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenView[DetectSample]:
    folder = tmp_path_factory.mktemp("view")
    make_detect_view(folder, copies=1)
    return open_detect_view(folder)


def load(
    opened: OpenView[DetectSample], *, batch_size: int = 5, num_workers: int = 0
) -> DataLoader[DetectBatch]:
    make_batch = detect_batch_maker(opened, augment)
    return epoch_loader(opened, make_batch, batch_size=batch_size, seed=1, num_workers=num_workers)


def as_bytes(batches: Iterable[DetectBatch]) -> list[tuple[bytes, bytes, bytes]]:
    """Return every picture with its boxes and classes, in order."""
    return [
        (picture.numpy().tobytes(), target.boxes.numpy().tobytes(), target.class_index.numpy().tobytes())
        for batch in batches
        for picture, target in zip(batch.pictures, batch.targets, strict=True)
    ]


def test_a_batch_has_a_target_per_picture(opened: OpenView[DetectSample]) -> None:
    loader = load(opened)
    batches = list(batches_of_epoch(loader, 1))
    assert sum(len(batch.targets) for batch in batches) == len(positions_of(opened, "train")) == 24
    for batch in batches:
        assert (batch.pictures.shape[1:], batch.pictures.dtype) == ((3, SIDE_PX, SIDE_PX), torch.uint8)
        for target in batch.targets:
            assert (target.boxes.shape, target.boxes.dtype) == (
                (len(target.class_index), 4),
                torch.float32,
            )
            assert target.class_index.dtype == torch.int64


def test_boxes_that_are_left_keep_their_class(opened: OpenView[DetectSample]) -> None:
    by_picture = {
        (corner(picture_at(opened, p)) + np.uint8(shift)).transpose(2, 0, 1).tobytes(): p
        for p in positions_of(opened, "train")
        for shift in range(251)
    }
    for batch in batches_of_epoch(load(opened), 3):
        for picture, target in zip(batch.pictures, batch.targets, strict=True):
            sample = opened.samples[by_picture[picture.numpy().tobytes()]]
            assert target.class_index.tolist() == sample.class_index[1:]
            shift = target.boxes.numpy() - boxes_of(sample)[1:]
            assert len(np.unique(shift.round(3))) <= 1


def test_the_epoch_decides_and_neither_workers_nor_the_size_of_a_batch(
    opened: OpenView[DetectSample],
) -> None:
    first = as_bytes(batches_of_epoch(load(opened), 1))
    assert as_bytes(batches_of_epoch(load(opened, num_workers=1), 1)) == first
    assert as_bytes(batches_of_epoch(load(opened, batch_size=24), 1)) == first
    second = as_bytes(batches_of_epoch(load(opened), 2))
    assert not set(second) & set(first)


def test_evaluation_is_of_originals_in_their_order_with_all_boxes(opened: OpenView[DetectSample]) -> None:
    numbers: dict[Split, int] = {"train": 12, "val": 6, "test": 6}
    for split, number in numbers.items():
        loader = detect_evaluation_loader(
            opened, corner, fit="stretch", split=split, batch_size=4, num_workers=0
        )
        positions = [p for p in positions_of(opened, split) if opened.samples[p].copy == 0]
        found = [pair for batch in loader for pair in zip(batch.pictures, batch.targets, strict=True)]
        assert len(found) == len(positions) == number
        for position, (picture, target) in zip(positions, found, strict=True):
            sample = opened.samples[position]
            assert (picture.numpy() == corner(picture_at(opened, position)).transpose(2, 0, 1)).all()
            expected = onto_square(
                boxes_of(sample), place(sample.width, sample.height, side_px=SIDE_PX, fit="stretch")
            )
            np.testing.assert_allclose(target.boxes.numpy(), expected, rtol=1e-6)
            assert target.class_index.tolist() == sample.class_index


def test_a_view_without_a_single_box_gives_empty_targets(tmp_path: Path) -> None:
    make_detect_view(tmp_path, num_samples=6, splits=["val", "val", "val", "val", "val", "train"])
    (batch,) = batches_of_epoch(load(open_detect_view(tmp_path)), 1)
    assert [target.boxes.shape for target in batch.targets] == [(0, 4)]
    assert batch.targets[0].class_index.shape == (0,)
