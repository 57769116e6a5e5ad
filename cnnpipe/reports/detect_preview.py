"""The preview sheet of a detection view: pictures with their boxes, as training will read them."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnpipe.annotations import SPLITS
from cnnpipe.augmentation.boxes import AugmentBoxes, build_box_crop_flip
from cnnpipe.augmentation.preprocess import Picture, resize
from cnnpipe.datasets.detection import boxes_of
from cnnpipe.datasets.packs import OpenView, picture_at, positions_of
from cnnpipe.datasets.records import DetectSample
from cnnpipe.geometry.boxes import Box
from cnnpipe.params.augment import DetectViewParams
from cnnpipe.reports.drawn_pictures import Mark, draw_marks
from cnnpipe.reports.sheets import SheetRow, write_sheet
from cnnpipe.reports.view_preview import describe_variants
from cnnpipe.seeding import seed_of

_MAX_ROWS: Final = 12
_FEWEST_ROWS: Final = 6  # where there are as many pictures
_VARIANTS: Final = 2  # per original
_CELL_PX: Final = 480
_MOST_NAMES: Final = 60  # in a cell; more would hide the picture, and colours tell the classes apart


def write_detect_preview(path: Path, opened: OpenView[DetectSample], params: DetectViewParams) -> None:
    """Draw a row per picture: originals of train, each beside what `copy_transform` makes of it.

    The first rows show every class, so far as there is room, and a picture without objects where there is
    one. The first `params.copies` variants are the very copies in the view.
    """
    crop_flip = build_box_crop_flip(params.copy_transform, min_visible_fraction=params.min_visible_fraction)
    write_sheet(
        path,
        [_row(opened, position, crop_flip, params) for position in telling_originals(opened)],
        caption=[*_describe(opened, params)],
        columns=["original", *(f"variant {number}" for number in range(1, _VARIANTS + 1))],
        cell_px=_CELL_PX,
    )


def telling_originals(opened: OpenView[DetectSample]) -> list[int]:
    """Return positions of originals of train: the first with each class, one without, others."""
    originals = [p for p in positions_of(opened, "train") if opened.samples[p].copy == 0]
    first_of: dict[int | None, int] = {}
    for position in originals:
        found: Sequence[int | None] = opened.samples[position].class_index or [None]
        for index in found:
            first_of.setdefault(index, position)
    empty = [first_of[None]] if None in first_of else []
    of_classes = dict.fromkeys(first_of[index] for index in range(len(opened.view.classes)))
    telling = [*islice(of_classes, _MAX_ROWS - len(empty)), *empty]
    return list(islice(dict.fromkeys([*telling, *originals]), max(_FEWEST_ROWS, len(telling))))


def _describe(opened: OpenView[DetectSample], params: DetectViewParams) -> Iterator[str]:
    originals = [sample for sample in opened.samples if sample.copy == 0]
    counts = Counter((index, sample.split) for sample in originals for index in sample.class_index)
    num_empty = sum(not sample.boxes for sample in originals)
    yield (
        f"{len(originals)} pictures, {num_empty} without objects, {counts.total()} objects; "
        f"copies per train picture: {params.copies}"
    )
    of_classes = (
        f"{label} {'/'.join(str(counts[index, split]) for split in SPLITS)}"
        for index, label in enumerate(opened.view.classes)
    )
    yield f"Objects in {'/'.join(SPLITS)}: {', '.join(of_classes)}"
    yield describe_variants(params.copy_transform)


def _row(
    opened: OpenView[DetectSample], position: int, crop_flip: AugmentBoxes, params: DetectViewParams
) -> SheetRow:
    sample, picture = opened.samples[position], picture_at(opened, position)
    class_index = np.array(sample.class_index, dtype=np.int64)
    classes = opened.view.classes
    drawn = [draw_boxes(picture, boxes_of(sample), class_index, classes)]
    for copy in range(1, _VARIANTS + 1):
        seed = seed_of(params.seed, "copy", f"{sample.sample_id}~{copy}")
        changed, boxes_M4, kept_M = crop_flip(picture, boxes_of(sample), seed)
        drawn.append(draw_boxes(changed, boxes_M4, class_index[kept_M], classes))
    found = Counter(classes[index] for index in sample.class_index)
    size = f"{sample.original_width} x {sample.original_height} px"
    counts = [f"{label}: {number}" for label, number in found.items()]
    return SheetRow([Path(sample.image_id).name, size, *(counts or ["no object"])], drawn)


def draw_boxes(
    picture: Picture, boxes_N4: NDArray[np.float64], class_index_N: NDArray[np.int64], classes: Sequence[str]
) -> Picture:
    """Return the picture in the size of a cell, with its boxes and their classes, small boxes on top."""
    height, width = picture.shape[:2]
    scale = _CELL_PX / max(width, height)
    fitted = resize(picture, width=max(1, round(width * scale)), height=max(1, round(height * scale)))
    areas_N = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1)
    marks = [
        Mark(
            text=classes[class_index_N[index]] if len(boxes_N4) <= _MOST_NAMES else "",
            colour=int(class_index_N[index]),
            box=Box(*(boxes_N4[index] * scale).tolist()),
        )
        for index in np.argsort(areas_N, kind="stable").tolist()
    ]
    with Image.open(io.BytesIO(draw_marks(fitted, marks))) as drawn:
        return np.asarray(drawn.convert("RGB"))
