"""The preview sheet of a regression view: pictures by their numbers, from the least to the largest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from cnnpipe.annotations import SPLITS
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.datasets.packs import OpenView, picture_at, positions_of
from cnnpipe.datasets.records import RegressSample
from cnnpipe.params.augment import RegressViewParams
from cnnpipe.reports.sheets import SheetRow, write_sheet
from cnnpipe.reports.view_preview import describe_variants
from cnnpipe.seeding import seed_of

_NUM_ROWS: Final = 12
_VARIANTS: Final = 5
_CELL_PX: Final = 96


def write_regress_preview(path: Path, opened: OpenView[RegressSample], params: RegressViewParams) -> None:
    """Draw a row per picture of train, at even steps of rank, beside what `copy_transform` makes of it.

    The first `params.copies` variants are the very copies in the view.
    """
    values = [sample.value for sample in opened.samples if sample.copy == 0]
    sizes = ", ".join(f"{split} {opened.view.num_samples[split]}" for split in SPLITS)
    write_sheet(
        path,
        [_row(opened, position, params) for position in _at_even_steps(opened)],
        caption=[
            f"{params.attribute}: {min(values):g} to {max(values):g}; samples with copies: {sizes}",
            describe_variants(params.copy_transform),
        ],
        columns=["original", *(f"variant {number}" for number in range(1, _VARIANTS + 1))],
        cell_px=_CELL_PX,
    )


def _at_even_steps(opened: OpenView[RegressSample]) -> Sequence[int]:
    """Return positions in train, the least number first; the least and the largest are among them."""
    originals = [at for at in positions_of(opened, "train") if opened.samples[at].copy == 0]
    by_value = sorted(originals, key=lambda at: (opened.samples[at].value, at))
    ranks = np.linspace(0, len(by_value) - 1, min(_NUM_ROWS, len(by_value))).round().astype(int)
    return [by_value[rank] for rank in ranks]


def _row(opened: OpenView[RegressSample], position: int, params: RegressViewParams) -> SheetRow:
    sample, original = opened.samples[position], picture_at(opened, position)
    crop_flip = build_crop_flip(params.copy_transform)
    seeds = [seed_of(params.seed, "copy", f"{sample.sample_id}~{copy}") for copy in range(1, _VARIANTS + 1)]
    variants = [crop_flip(original, seed) for seed in seeds]
    return SheetRow([f"{params.attribute}: {sample.value:g}", sample.sample_id], [original, *variants])
