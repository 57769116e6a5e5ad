"""The preview sheet of a view: some of what training reads, to be looked at before hours are spent on it."""

from collections import Counter
from pathlib import Path
from typing import Final

from cnnpipe.annotations import SPLITS
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.datasets.packs import OpenView, picture_at, positions_of
from cnnpipe.datasets.records import Sample
from cnnpipe.params.augment import ClassifyViewParams, CropFlipParams
from cnnpipe.reports.sheets import SheetRow, write_sheet
from cnnpipe.seeding import seed_of

_MAX_CLASSES: Final = 40
_ORIGINALS: Final = 2  # per class
_VARIANTS: Final = 3  # per original
_CELL_PX: Final = 96


def write_view_preview(path: Path, opened: OpenView[Sample], params: ClassifyViewParams) -> None:
    """Draw a row per class: the first samples of train, each beside what `copy_transform` makes of it.

    The first `params.copies` variants are the very copies in the view.
    """
    classes, originals = opened.view.classes, _originals_by_class(opened)
    counts = Counter((sample.label, sample.split) for sample in opened.samples if sample.copy == 0)
    rows = [
        _row(
            opened, label, [f"{split}: {counts[label, split]}" for split in SPLITS], originals[label], params
        )
        for label in classes[:_MAX_CLASSES]
    ]
    shown = "" if len(classes) <= _MAX_CLASSES else f" (the first {_MAX_CLASSES} are shown)"
    num_samples = len(opened.samples)
    write_sheet(
        path,
        rows,
        caption=[
            f"{len(classes)} classes{shown}, {num_samples} samples; copies per train sample: {params.copies}",
            describe_variants(params.copy_transform),
        ],
        columns=["original", *(f"variant {number}" for number in range(1, _VARIANTS + 1))] * _ORIGINALS,
        cell_px=_CELL_PX,
    )


def describe_variants(params: CropFlipParams) -> str:
    """Return the line of a caption that says what stands beside each original."""
    changes = ", ".join(f"{name} {value}" for name, value in params.model_dump().items())
    return f"Beside each original: what copy_transform makes of it ({changes})"


def _originals_by_class(opened: OpenView[Sample]) -> dict[str, list[int]]:
    originals: dict[str, list[int]] = {label: [] for label in opened.view.classes}
    for position in positions_of(opened, "train"):
        sample = opened.samples[position]
        if sample.copy == 0 and len(originals[sample.label]) < _ORIGINALS:
            originals[sample.label].append(position)
    return originals


def _row(
    opened: OpenView[Sample], label: str, counts: list[str], originals: list[int], params: ClassifyViewParams
) -> SheetRow:
    crop_flip = build_crop_flip(params.copy_transform)
    pictures = []
    for position in originals:
        original, sample_id = picture_at(opened, position), opened.samples[position].sample_id
        seeds = [seed_of(params.seed, "copy", f"{sample_id}~{copy}") for copy in range(1, _VARIANTS + 1)]
        pictures += [original, *(crop_flip(original, seed) for seed in seeds)]
    return SheetRow([label, *counts], pictures)
