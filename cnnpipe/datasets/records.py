"""What a view on disk says of itself: view.json and the lines of samples.jsonl."""

from typing import Literal

import msgspec

from cnnpipe.annotations import Split

VIEW_FILE = "view.json"
SAMPLES_FILE = "samples.jsonl"
PIXELS_FILE = "pixels.bin"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a classification view: an object crop or a whole picture."""

    sample_id: str  # "<image_id>#<region>", or the image_id of a whole picture; copies end in "~<copy>"
    image_id: str
    region: int | None  # None: the whole picture
    copy: int  # 0: the original; 1 to copies: a seeded crop/flip copy, in train only
    split: Split
    group: str
    label: str
    class_index: int  # 0-based
    offset: int  # bytes into pixels.bin
    width: int  # pixels
    height: int


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A view as a whole. Pixels are uint8 HWC, RGB or one channel, one picture after the other."""

    task: Literal["classify"]
    source: Literal["objects", "pictures"]
    classes: list[str]  # sorted; the position is the class_index
    channels: int
    max_side_px: int
    num_samples: dict[Split, int]
    num_bytes: int  # of pixels.bin
    pixels_sha256: str
    samples_sha256: str
