"""What an experiment's augmentation makes of pictures of train: a sheet to look at before training."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from cnnpipe.augmentation.boxes import build_box_augmentation
from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.datasets.detection import boxes_of
from cnnpipe.datasets.packs import (
    OpenView,
    open_detect_view,
    open_regress_view,
    open_view,
    picture_at,
    positions_of,
)
from cnnpipe.datasets.records import VIEW_FILE, DetectSample, RegressSample, Sample
from cnnpipe.errors import DataError
from cnnpipe.params.augmentation import MixParams
from cnnpipe.params.experiment import ClassifyParams, DetectParams, ExperimentParams, RegressParams
from cnnpipe.reports.detect_preview import draw_boxes, telling_originals
from cnnpipe.reports.sheets import SheetRow, write_sheet
from cnnpipe.seeding import seed_of
from cnnpipe.training.mixing import draw_mixing, mix_pictures

_EPOCHS: Final = range(1, 7)  # of which the draws are shown
_EPOCHS_WITH_BOXES: Final = range(1, 4)
_NUM_ROWS: Final = 8
_MIXED_ROWS: Final = 2
_CELL_PX: Final = 128
_CELL_WITH_BOXES_PX: Final = 320
_LINE_LENGTH: Final = 130  # letters of the caption


def write_policy_preview(path: Path, view: Path, params: ExperimentParams, *, name: str) -> int:
    """Draw a row per picture: as packed, and as the network sees it in its first epochs; return how many.

    The draws are those of training, to the byte, so far as nothing is sampled twice. Mixed pictures are drawn
    as training would, too, but for the partners, which are those of this sheet.

    Args:
        path: of the sheet, .png or .jpg.
        view: folder of the experiment's view.
        params: the experiment.
        name: of it.

    Raises:
        DataError: the view is missing, damaged, or of another task.
    """
    if not (view / VIEW_FILE).exists():
        raise DataError(str(view), "the view is not made yet", f"run `dvc repro augment@{params.task}`")
    match params:
        case DetectParams():
            rows = list(_rows_with_boxes(open_detect_view(view), params))
        case RegressParams():
            rows = _rows(open_regress_view(view), params)
        case ClassifyParams():
            rows = _rows(open_view(view), params)
    has_boxes = isinstance(params, DetectParams)
    epochs = _EPOCHS_WITH_BOXES if has_boxes else _EPOCHS
    columns = ["as packed", *(f"epoch {epoch}" for epoch in epochs)]
    cell_px = _CELL_WITH_BOXES_PX if has_boxes else _CELL_PX
    write_sheet(path, rows, caption=_caption(name, params), columns=columns, cell_px=cell_px)
    return len(rows)


def _caption(name: str, params: ExperimentParams) -> list[str]:
    policy = params.augmentation.model_dump(exclude_none=True)
    if cutout := policy.pop("cutout", None):
        policy |= {f"cutout.{key}": value for key, value in cutout.items()}
    lines = [f"{name}: {params.input.side_px} px, {params.input.fit}; {_said(policy)}"]
    if isinstance(params, ClassifyParams) and params.mix is not None:
        lines.append(f"mix: {_said(params.mix.model_dump())}")
    return [part for line in lines for part in textwrap.wrap(line, _LINE_LENGTH)]


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value != 0.0)


def _rows(opened: OpenView[Any], params: ClassifyParams | RegressParams) -> list[SheetRow]:
    augment = build_augmentation(
        params.augmentation,
        side_px=params.input.side_px,
        channels=params.input.channels,
        fit=params.input.fit,
    )
    rows, drawn = [], []
    for position in _shown(opened):
        sample, picture = opened.samples[position], picture_at(opened, position)
        seeds = [_seed(params, epoch, sample.sample_id) for epoch in _EPOCHS]
        drawn.append([augment(picture, seed) for seed in seeds])
        rows.append(SheetRow([_truth(sample), Path(sample.image_id).name], [picture, *drawn[-1]]))
    mix = params.mix if isinstance(params, ClassifyParams) else None
    return rows if mix is None else [*rows, *_mixed_rows(drawn, mix, seed=params.seed)]


def _shown(opened: OpenView[Any]) -> list[int]:
    """Return positions of originals of train: the first of each class, then others."""
    originals = [p for p in positions_of(opened, "train") if opened.samples[p].copy == 0]
    first_of: dict[str, int] = {}
    for position in originals:
        sample = opened.samples[position]
        first_of.setdefault(sample.label if isinstance(sample, Sample) else "", position)
    return list(dict.fromkeys([*(first_of[key] for key in sorted(first_of)), *originals]))[:_NUM_ROWS]


def _truth(sample: Sample | RegressSample) -> str:
    return sample.label if isinstance(sample, Sample) else f"{sample.value:g}"


def _seed(params: ExperimentParams, epoch: int, sample_id: str) -> int:
    """Return the seed of a picture's changes, as `datasets.loading` has it."""
    return seed_of(params.seed, "augment", epoch, sample_id)


def _mixed_rows(drawn: Sequence[Sequence[Picture]], mix: MixParams, *, seed: int) -> Iterator[SheetRow]:
    """Yield what becomes of the first rows where the batch is mixed; the rows are the batch."""
    always = mix.model_copy(update={"probability": 1.0})
    columns = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "preview"))
        for of_epoch in zip(*drawn, strict=True):
            batch_BCHW = torch.from_numpy(np.stack(of_epoch)).permute(0, 3, 1, 2).float()
            mixing = draw_mixing(always, len(of_epoch))
            mixed_BCHW = batch_BCHW if mixing is None else mix_pictures(batch_BCHW, mixing)
            columns.append(mixed_BCHW.round().byte().permute(0, 2, 3, 1).numpy())
    for number in range(min(_MIXED_ROWS, len(drawn))):
        lines = [f"row {number + 1}, mixed", f"in {mix.probability:.0%} of batches"]
        yield SheetRow(lines, [None, *(column[number] for column in columns)])


def _rows_with_boxes(opened: OpenView[DetectSample], params: DetectParams) -> Iterator[SheetRow]:
    augment = build_box_augmentation(
        params.augmentation,
        side_px=params.input.side_px,
        channels=params.input.channels,
        fit=params.input.fit,
    )
    classes = opened.view.classes
    for position in telling_originals(opened)[:_NUM_ROWS]:
        sample, picture = opened.samples[position], picture_at(opened, position)
        class_index_N = np.array(sample.class_index, dtype=np.int64)
        drawn = [draw_boxes(picture, boxes_of(sample), class_index_N, classes)]
        for epoch in _EPOCHS_WITH_BOXES:
            seed = _seed(params, epoch, sample.sample_id)
            changed, boxes_M4, kept_M = augment(picture, boxes_of(sample), seed)
            drawn.append(draw_boxes(changed, boxes_M4, class_index_N[kept_M], classes))
        yield SheetRow([Path(sample.image_id).name, f"objects: {len(sample.boxes)}"], drawn)
