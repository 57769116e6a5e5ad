"""Small views for tests: pictures of noise, each like no other, and scenes of coloured rectangles."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import PackPlan, write_view
from cnnpipe.datasets.records import DetectSample, Sample
from cnnpipe.geometry.boxes import Box

CLASSES = ("ant", "bee", "cat")
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "ant": (230, 60, 50),
    "bee": (60, 200, 70),
    "cat": (70, 90, 240),
}


def noise(height: int, width: int, channels: int, *, seed: int) -> NDArray[np.uint8]:
    """Return a picture (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def make_view(
    folder: Path,
    *,
    splits: Sequence[Split] = ("train", "train", "val", "test"),
    num_samples: int = 24,
    channels: int = 3,
    copies: int = 0,
) -> list[NDArray[np.uint8]]:
    """Write a view and return its pictures; sizes differ, sample i is of split i and class i, in turn."""
    samples: list[Sample] = []
    pictures: list[NDArray[np.uint8]] = []
    offset = 0
    for number in range(num_samples):
        split = splits[number % len(splits)]
        for copy in range(1 + (copies if split == "train" else 0)):
            picture = noise(10 + number % 3, 8 + number % 5, channels, seed=1000 * copy + number)
            image_id = f"{split}/{number:03d}.png"
            sample = Sample(
                sample_id=f"{image_id}~{copy}" if copy else image_id,
                image_id=image_id,
                region=None,
                copy=copy,
                split=split,
                group=image_id,
                label=CLASSES[number % len(CLASSES)],
                class_index=number % len(CLASSES),
                offset=offset,
                width=picture.shape[1],
                height=picture.shape[0],
            )
            samples.append(sample)
            pictures.append(picture)
            offset += picture.size
    folder.mkdir(parents=True, exist_ok=True)
    write_view(folder, make_plan(samples, channels=channels), pictures)
    return pictures


def make_plan(samples: list[Sample], *, channels: int = 3) -> PackPlan[Sample]:
    """Return the plan of a classification view of whole pictures."""
    return PackPlan(
        task="classify",
        label_attribute="kind",
        source="pictures",
        classes=list(CLASSES),
        channels=channels,
        max_side_px=16,
        samples=samples,
    )


def make_detect_view(
    folder: Path,
    *,
    splits: Sequence[Split] = ("train", "train", "val", "test"),
    num_samples: int = 24,
    side_px: int = 64,
    channels: int = 3,
    copies: int = 0,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
) -> list[NDArray[np.uint8]]:
    """Write a detection view of coloured rectangles on dark noise, and return its pictures.

    Sample i is of split i, in turn. A picture is `side_px` wide and three quarters of it or more high, was
    shrunk from twice that size, and holds one to three rectangles a quarter to a half as wide as it, none
    over another; every sixth holds none. A rectangle's class is its colour, in grey pictures its brightness.
    A copy is the picture mirrored.
    """
    samples: list[DetectSample] = []
    pictures: list[NDArray[np.uint8]] = []
    offset = 0
    for number in range(num_samples):
        split = splits[number % len(splits)]
        picture, boxes, class_index = draw_scene(number, side_px=side_px, classes=classes, seed=seed)
        for copy in range(1 + (copies if split == "train" else 0)):
            image_id = f"{split}/{number:03d}.png"
            shown = np.ascontiguousarray(picture[:, ::-1] if copy else picture)
            if channels == 1:
                shown = shown.mean(axis=2, keepdims=True).astype(np.uint8)
            sample = DetectSample(
                sample_id=f"{image_id}~{copy}" if copy else image_id,
                image_id=image_id,
                copy=copy,
                split=split,
                group=image_id,
                offset=offset,
                width=shown.shape[1],
                height=shown.shape[0],
                original_width=2 * shown.shape[1],
                original_height=2 * shown.shape[0],
                boxes=[_mirrored(box, shown.shape[1]) if copy else box for box in boxes],
                class_index=class_index,
                region=list(range(len(boxes))),
            )
            samples.append(sample)
            pictures.append(shown)
            offset += shown.size
    folder.mkdir(parents=True, exist_ok=True)
    plan = make_detect_plan(samples, channels=channels, max_side_px=side_px, classes=classes)
    write_view(folder, plan, pictures)
    return pictures


def make_detect_plan(
    samples: list[DetectSample],
    *,
    channels: int = 3,
    max_side_px: int = 64,
    classes: Sequence[str] = CLASSES,
) -> PackPlan[DetectSample]:
    """Return the plan of a detection view."""
    return PackPlan(
        task="detect",
        label_attribute="kind",
        source="objects",
        classes=list(classes),
        channels=channels,
        max_side_px=max_side_px,
        samples=samples,
    )


def draw_scene(
    number: int, *, side_px: int, classes: Sequence[str] = CLASSES, seed: int = 0
) -> tuple[NDArray[np.uint8], list[Box], list[int]]:
    """Return scene `number` (H, W, 3), and the boxes of its rectangles with their classes' indices."""
    rng = np.random.default_rng((seed, number))
    width, height = side_px, int(rng.integers(3 * side_px // 4, side_px + 1))
    picture = rng.integers(0, 50, (height, width, 3), dtype=np.uint8)
    num_objects = 0 if number % 6 == 5 else int(rng.integers(1, 4))
    boxes, class_index = [], []
    for cell in rng.permutation(4)[:num_objects].tolist():
        cell_width, cell_height = width // 2, height // 2
        # no thinner than a quarter of the picture, so that a small feature map still shows it
        box_width = int(rng.integers(side_px // 4, cell_width + 1))
        box_height = int(rng.integers(min(side_px // 4, cell_height), cell_height + 1))
        x = cell % 2 * cell_width + int(rng.integers(0, cell_width - box_width + 1))
        y = cell // 2 * cell_height + int(rng.integers(0, cell_height - box_height + 1))
        index = int(rng.integers(len(classes)))
        picture[y : y + box_height, x : x + box_width] = COLOURS.get(classes[index], (40 * index, 255, 128))
        boxes.append(Box(x, y, x + box_width, y + box_height))
        class_index.append(index)
    return picture, boxes, class_index


def _mirrored(box: Box, width: int) -> Box:
    return Box(width - box.x_max, box.y_min, width - box.x_min, box.y_max)
