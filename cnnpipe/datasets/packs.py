"""The pack of a view: every picture's pixels in one file, which readers map into memory.

One large file instead of thousands of small ones: DVC moves it tens of times as fast, and a picture
is read without decoding. `pixels.bin` holds uint8 HWC, RGB or one channel, one picture after the other.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe import files
from cnnpipe.annotations import SPLITS, Split
from cnnpipe.datasets.records import (
    PIXELS_FILE,
    SAMPLES_FILE,
    VIEW_FILE,
    DetectSample,
    PackedSample,
    RegressSample,
    Sample,
    Task,
    View,
)
from cnnpipe.errors import DataError

Picture = NDArray[np.uint8]  # (H, W, C)
AnySample = TypeVar("AnySample", bound=PackedSample)


class PackPlan(msgspec.Struct, Generic[AnySample], frozen=True, kw_only=True):
    """Everything about a view but its pixels: known before the first picture is decoded."""

    task: Task
    label_attribute: str
    source: Literal["objects", "pictures"]
    classes: list[str]
    channels: int
    max_side_px: int
    samples: list[AnySample]  # in the order of their pixels, each offset where the one before ends

    @property
    def num_bytes(self) -> int:
        return sum(sample.width * sample.height for sample in self.samples) * self.channels


class OpenView(msgspec.Struct, Generic[AnySample], frozen=True, eq=False):
    """A view that can be read: what it says of itself, its samples, and their pixels."""

    view: View
    samples: list[AnySample]
    pixels: NDArray[np.uint8]  # flat, mapped from the file, read-only


def write_view(folder: Path, plan: PackPlan[AnySample], pictures: Iterable[Picture]) -> View:
    """Write pixels.bin, samples.jsonl and view.json; holds one picture at a time.

    Args:
        folder: exists; its owner makes it whole or not at all.
        plan: what the view will hold.
        pictures: one for each sample of the plan, in its order.

    Raises:
        ValueError: the pictures are not those of the plan.
    """
    digest, num_bytes = hashlib.sha256(), 0
    with (folder / PIXELS_FILE).open("wb") as file:
        for sample, picture in zip(plan.samples, pictures, strict=True):
            expected = (sample.height, sample.width, plan.channels)
            if picture.shape != expected or picture.dtype != np.uint8 or sample.offset != num_bytes:
                found = f"{picture.dtype} {picture.shape} at {num_bytes}"
                raise ValueError(f"{sample.sample_id}: expected {expected} at {sample.offset}, got {found}")
            content = picture.tobytes()
            digest.update(content)
            num_bytes += file.write(content)
    files.write_jsonl(folder / SAMPLES_FILE, plan.samples)
    counts = Counter(sample.split for sample in plan.samples)
    view = View(
        task=plan.task,
        source=plan.source,
        label_attribute=plan.label_attribute,
        classes=plan.classes,
        channels=plan.channels,
        max_side_px=plan.max_side_px,
        num_samples={split: counts[split] for split in SPLITS},
        num_bytes=num_bytes,
        pixels_sha256=digest.hexdigest(),
        samples_sha256=files.sha256_of_file(folder / SAMPLES_FILE),
    )
    files.write_json(folder / VIEW_FILE, view)
    return view


def open_view(folder: Path) -> OpenView[Sample]:
    """Return the classification view in `folder`; its pixels stay on disk until they are looked at.

    The map is read-only: a file of DVC's cache may be hard-linked here, and writing would change it, too.

    Raises:
        DataError: a file is missing, cut off, of another task, or not of one writing with the others.
    """
    return _open(folder, "classify", Sample)


def open_detect_view(folder: Path) -> OpenView[DetectSample]:
    """Return the detection view in `folder`, as `open_view` does."""
    return _open(folder, "detect", DetectSample)


def open_regress_view(folder: Path) -> OpenView[RegressSample]:
    """Return the regression view in `folder`, as `open_view` does."""
    return _open(folder, "regress", RegressSample)


def picture_at(opened: OpenView[AnySample], position: int) -> Picture:
    """Return the picture (H, W, C) of the sample at `position`: a read-only window on the file."""
    sample, channels = opened.samples[position], opened.view.channels
    end = sample.offset + sample.height * sample.width * channels
    return np.asarray(opened.pixels[sample.offset : end].reshape(sample.height, sample.width, channels))


def positions_of(opened: OpenView[AnySample], split: Split) -> list[int]:
    """Return the positions of a split's samples, in the order of the view."""
    return [position for position, sample in enumerate(opened.samples) if sample.split == split]


def _open(folder: Path, task: Task, kind: type[AnySample]) -> OpenView[AnySample]:
    view = files.read_json(folder / VIEW_FILE, View)
    if view.task != task:
        raise DataError(str(folder / VIEW_FILE), f"is a view of task {view.task}, not {task}", _FIX)
    samples_file, pixels_file = folder / SAMPLES_FILE, folder / PIXELS_FILE
    samples = files.read_jsonl(samples_file, kind)
    if files.sha256_of_file(samples_file) != view.samples_sha256:
        raise DataError(str(samples_file), f"is not the file that {VIEW_FILE} describes", _FIX)
    num_bytes = pixels_file.stat().st_size if pixels_file.exists() else 0
    if num_bytes != view.num_bytes:
        what = f"has {num_bytes} bytes where {VIEW_FILE} says {view.num_bytes}"
        raise DataError(str(pixels_file), what, _FIX)
    return OpenView(view, samples, np.memmap(pixels_file, dtype=np.uint8, mode="r"))


_FIX: Final = "run `cnnpipe augment` for this view again"
