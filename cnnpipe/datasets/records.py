"""What a view on disk says of itself: view.json and the lines of samples.jsonl."""

from typing import Literal

import msgspec

from cnnpipe.annotations import Split
from cnnpipe.geometry.boxes import Box

Task = Literal["classify", "detect", "regress"]

VIEW_FILE = "view.json"
SAMPLES_FILE = "samples.jsonl"
PIXELS_FILE = "pixels.bin"


class PackedSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the samples of every view have: which picture, in which split, and where its pixels lie."""

    sample_id: str  # of an original; copies end in "~<copy>"
    image_id: str
    copy: int  # 0: the original; 1 to copies: a seeded crop/flip copy, in train only
    split: Split
    group: str
    offset: int  # bytes into pixels.bin
    width: int  # pixels, as packed
    height: int


class CropSample(PackedSample, frozen=True, kw_only=True):
    """An object crop ("<image_id>#<region>") or a whole picture."""

    region: int | None  # None: the whole picture


class Sample(CropSample, frozen=True, kw_only=True):
    """One picture of a classification view."""

    label: str
    class_index: int  # 0-based


class RegressSample(CropSample, frozen=True, kw_only=True):
    """One picture of a regression view."""

    value: float  # the truth, in the unit of its attribute; finite


class DetectSample(PackedSample, frozen=True, kw_only=True):
    """One whole picture of a detection view, and the objects in it; there may be none."""

    original_width: int  # pixels of the picture as a viewer shows it; of a copy, of what it was cut from
    original_height: int
    boxes: list[Box]  # xyxy, pixels of the picture as packed, inside it
    class_index: list[int]  # 0-based, one per box
    region: list[int]  # number of each in its VIA file


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A view as a whole. Pixels are uint8 HWC, RGB or one channel, one picture after the other."""

    task: Task
    source: Literal["objects", "pictures"]  # what carries the class or number: regions, or whole pictures
    label_attribute: str  # of VIA, that holds it
    classes: list[str]  # sorted; the position is the class_index; of task regress there is none
    channels: int
    max_side_px: int
    num_samples: dict[Split, int]
    num_bytes: int  # of pixels.bin
    pixels_sha256: str
    samples_sha256: str
