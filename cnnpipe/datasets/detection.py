"""Batches of a detection view: pictures of one size, and the boxes in each.

Legend: B batch, C channels, H W pixels, S side of the network's square, N boxes of a picture.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from cnnpipe.annotations import Split
from cnnpipe.datasets.loading import Draw, Preprocess, positions_loader, stack
from cnnpipe.datasets.packs import OpenView, Picture, picture_at, positions_of
from cnnpipe.datasets.records import DetectSample
from cnnpipe.geometry.placement import Fit, onto_square, place

Boxes = NDArray[np.float64]  # (N, 4) xyxy pixels
Kept = NDArray[np.int64]  # (M,) positions in (N,)
AugmentBoxes = Callable[[Picture, Boxes, int], tuple[Picture, Boxes, Kept]]


class Target(NamedTuple):
    """What is to be found in one picture; N may be 0."""

    boxes: Tensor  # (N, 4) float32, xyxy pixels of the square
    class_index: Tensor  # (N,) int64, 0-based


class DetectBatch(NamedTuple):
    """Pictures (B, C, S, S) uint8, not yet normalised, and the target of each."""

    pictures: Tensor
    targets: list[Target]


def detect_batch_maker(
    opened: OpenView[DetectSample], augment: AugmentBoxes
) -> Callable[[Sequence[Draw]], DetectBatch]:
    """Return what makes a batch of draws.

    Args:
        opened: the view.
        augment: from a picture, its boxes and a seed to a picture of the network's size, the boxes left in
            it, and which of those given they are.
    """
    return partial(_make_batch, opened=opened, augment=augment)


def detect_evaluation_loader(  # noqa: PLR0913  # those of evaluation_loader, and how boxes follow
    opened: OpenView[DetectSample],
    preprocess: Preprocess,
    *,
    fit: Fit,
    split: Split,
    batch_size: int,
    num_workers: int,
) -> DataLoader[DetectBatch]:
    """Return the loader of a split's originals without augmentation, in the order of `packs.positions_of`.

    Args:
        opened: the view.
        preprocess: from a picture to the network's square.
        fit: how `preprocess` lays a picture there, so that its boxes go the same way.
        split: which pictures; copies of train are left out.
        batch_size: pictures per batch.
        num_workers: processes that read ahead; 0: read in this one.
    """
    make_batch = detect_batch_maker(opened, partial(_without_seed, preprocess=preprocess, fit=fit))
    positions = [p for p in positions_of(opened, split) if opened.samples[p].copy == 0]
    return positions_loader(positions, make_batch, batch_size=batch_size, num_workers=num_workers)


def boxes_of(sample: DetectSample) -> Boxes:
    """Return the boxes of a sample (N, 4) float64, xyxy pixels of the picture as packed."""
    corners = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in sample.boxes]
    return np.array(corners, dtype=np.float64).reshape(-1, 4)


def _make_batch(
    draws: Sequence[Draw], *, opened: OpenView[DetectSample], augment: AugmentBoxes
) -> DetectBatch:
    pictures, targets = [], []
    for draw in draws:
        sample = opened.samples[draw.position]
        picture, boxes_M4, kept_M = augment(picture_at(opened, draw.position), boxes_of(sample), draw.seed)
        pictures.append(picture)
        class_index_M = np.array(sample.class_index, dtype=np.int64)[kept_M]
        targets.append(Target(torch.from_numpy(boxes_M4.astype(np.float32)), torch.from_numpy(class_index_M)))
    return DetectBatch(stack(pictures, number=len(pictures)), targets)


def _without_seed(
    picture: Picture, boxes_N4: Boxes, seed: int, *, preprocess: Preprocess, fit: Fit
) -> tuple[Picture, Boxes, Kept]:
    del seed
    square = preprocess(picture)
    height, width = picture.shape[:2]
    placement = place(width, height, side_px=square.shape[0], fit=fit)
    return square, onto_square(boxes_N4, placement), np.arange(len(boxes_N4))
