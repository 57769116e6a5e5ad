"""Small views of noise, each picture like no other, for tests of what reads and writes packs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import PackPlan, write_view
from cnnpipe.datasets.records import Sample

CLASSES = ("ant", "bee", "cat")


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
    plan = PackPlan(
        source="pictures", classes=list(CLASSES), channels=channels, max_side_px=16, samples=samples
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_view(folder, plan, pictures)
    return pictures
