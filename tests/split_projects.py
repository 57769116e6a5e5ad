"""Pictures of noise with the records that stand for them after `split`: what stage `augment` reads."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from toy_views import noise

from cnnpipe import files
from cnnpipe.annotations import LabelledObject, LabelledPicture, Split, SplitRow
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Rect
from cnnpipe.stages.augment import AugmentInputs

WIDTH, HEIGHT = 60, 40


class Drawn(NamedTuple):
    """A picture of the project under test, and its objects as label and box."""

    split: Split | None
    objects: Sequence[tuple[str, tuple[float, float, float, float]]]
    label: str | None = None
    width: int = WIDTH
    height: int = HEIGHT
    has_refused: bool = False  # a region that did not pass the gate
    is_pending: bool = False  # has no region, and is yet to be annotated


def write_project(folder: Path, pictures: Sequence[Drawn]) -> AugmentInputs:
    """Write pictures `photos/<number>.png` of noise and their records."""
    images, objects, rows = [], [], []
    for number, drawn in enumerate(pictures):
        image_id = f"photos/{number}.png"
        path = folder / "raw" / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels_of(number, width=drawn.width, height=drawn.height)).save(
            path, compress_level=1
        )
        picture = LabelledPicture(
            image_id=image_id,
            width=drawn.width,
            height=drawn.height,
            sha256=files.sha256_of_file(path),
            perceptual_hash="0" * 16,
            label=drawn.label,
            is_annotated=bool(drawn.objects) or drawn.has_refused,
            is_pending=drawn.is_pending,
            file_attributes={},
        )
        images.append(picture)
        for region, (label, box) in enumerate(drawn.objects):
            item = LabelledObject(
                image_id=image_id,
                region=region,
                label=label,
                box=Box(*box),
                shape=Rect(box[0], box[1], box[2] - box[0], box[3] - box[1]),
                attributes={},
            )
            objects.append(item)
        rows.append(SplitRow(image_id=image_id, split=drawn.split, group=f"group {number}", reason="given"))
    files.write_jsonl(folder / "validated" / "images.jsonl", images)
    files.write_jsonl(folder / "validated" / "objects.jsonl", objects)
    decisions = {"label_attribute": "kind", "image_label_attribute": "time", "min_side_px": 3}
    files.write_json(folder / "validated" / "report.json", {"counts": {}, "decisions": decisions})
    files.write_jsonl(folder / "splits.jsonl", rows)
    return AugmentInputs(
        validated=folder / "validated", splits=folder / "splits.jsonl", raw_dir=folder / "raw"
    )


def pixels_of(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return the pixels (height, width, 3) of picture `number`."""
    return noise(height, width, 3, seed=number)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
