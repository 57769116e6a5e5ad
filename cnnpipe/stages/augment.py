"""Stage `augment`, view `classify`: pack what classifiers read, and seeded copies of train.

Which crop each object gets follows from boxes and sizes alone, so the whole pack is planned, and its size on
disk told, before the first picture is decoded; then each picture is decoded once.
"""

import logging
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe import files
from cnnpipe.annotations import SPLITS, LabelledObject, LabelledPicture, Split, SplitRow
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.augmentation.preprocess import Picture, resize
from cnnpipe.datasets.crops import Window, crop_window, packed_size
from cnnpipe.datasets.packs import PackPlan, open_view, write_view
from cnnpipe.datasets.records import Sample
from cnnpipe.errors import DataError, StorageError
from cnnpipe.formats.pictures import read_picture
from cnnpipe.params.augment import ClassifyViewParams
from cnnpipe.reports.view_preview import write_view_preview
from cnnpipe.seeding import seed_of

log = logging.getLogger(__name__)

REPORT_FILE: Final = "report.json"
PREVIEW_FILE: Final = "preview.jpg"

_Table = dict[str, dict[str, int]]  # class -> split, or "none" -> number


class AugmentInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stage reads."""

    validated: Path  # folder of images.jsonl and objects.jsonl
    splits: Path  # splits.jsonl
    raw_dir: Path  # image ids are paths below it


class ViewReport(msgspec.Struct, frozen=True, kw_only=True):
    """report.json: what became of every object, or picture, by class and split."""

    kept: _Table  # originals in the view
    copies: _Table  # crop/flip copies beside them
    clipped: _Table  # of those kept: the picture ends where the crop wanted more
    shrunk: _Table  # of those kept: the crop was larger than max_side_px
    lost: dict[str, _Table]  # by reason


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An object, or a picture, that may become a sample."""

    picture: LabelledPicture
    region: int | None
    label: str  # "": the picture has none
    window: Window
    split: Split | None
    group: str


def augment(inputs: AugmentInputs, out: Path, params: ClassifyViewParams) -> Counter[str]:
    """Write the view below `out`; return samples per split, copies, and what was lost by reason.

    Raises:
        DataError: nothing to classify, a split without samples, or records that do not fit each other.
        StorageError: the disk has no room for the view.
    """
    kept, lost = _sieve(_read_candidates(inputs, params), params)
    plan = _plan(kept, params)
    _refuse_unusable(plan, lost)
    _tell_and_check_disk(plan, out)
    report = _report(kept, lost, params)
    with files.whole_folder(out) as folder:
        write_view(folder, plan, _render(kept, plan.samples, inputs.raw_dir, params))
        files.write_json(folder / REPORT_FILE, report)
        write_view_preview(folder / PREVIEW_FILE, open_view(folder), params)
    counts: Counter[str] = Counter(str(candidate.split) for candidate in kept)
    counts["copies"] = len(plan.samples) - len(kept)
    counts.update({f"lost ({reason})": len(candidates) for reason, candidates in lost.items()})
    return counts


def _read_candidates(inputs: AugmentInputs, params: ClassifyViewParams) -> list[_Candidate]:
    """Return every object, or picture, in the order of the pictures in the validated records."""
    pictures = files.read_jsonl(inputs.validated / "images.jsonl", LabelledPicture)
    splits = {row.image_id: row for row in files.read_jsonl(inputs.splits, SplitRow)}
    without = [picture.image_id for picture in pictures if picture.image_id not in splits]
    if without:
        what = f"{len(without)} validated pictures are not in it, the first is {without[0]}"
        raise DataError(str(inputs.splits), what, "run `cnnpipe split` again")
    if params.source == "pictures":
        return [_picture_candidate(picture, splits[picture.image_id]) for picture in pictures]
    objects: dict[str, list[LabelledObject]] = {picture.image_id: [] for picture in pictures}
    for item in files.read_jsonl(inputs.validated / "objects.jsonl", LabelledObject):
        if item.image_id not in objects:
            what = f"object {item.region} is on {item.image_id}, which is not in images.jsonl"
            raise DataError(str(inputs.validated / "objects.jsonl"), what, "run `cnnpipe validate` again")
        objects[item.image_id].append(item)
    return [
        _object_candidate(item, picture, splits[picture.image_id], params)
        for picture in pictures
        for item in objects[picture.image_id]
    ]


def _picture_candidate(picture: LabelledPicture, row: SplitRow) -> _Candidate:
    window = Window(x_min=0, y_min=0, x_max=picture.width, y_max=picture.height)
    label = picture.label or ""
    return _Candidate(
        picture=picture, region=None, label=label, window=window, split=row.split, group=row.group
    )


def _object_candidate(
    item: LabelledObject, picture: LabelledPicture, row: SplitRow, params: ClassifyViewParams
) -> _Candidate:
    window = crop_window(
        item.box,
        margin_fraction=params.margin_fraction,
        square=params.square,
        width=picture.width,
        height=picture.height,
    )
    return _Candidate(
        picture=picture,
        region=item.region,
        label=item.label,
        window=window,
        split=row.split,
        group=row.group,
    )


def _sieve(
    candidates: list[_Candidate], params: ClassifyViewParams
) -> tuple[list[_Candidate], dict[str, list[_Candidate]]]:
    """Return the candidates that become samples, and the others by reason.

    A class without a sample in train cannot be learnt: its samples in val and test are left out, too.
    """
    usable: list[_Candidate] = []
    lost: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        reason = _reason_to_leave_out(candidate, params)
        if reason is None:
            usable.append(candidate)
        else:
            lost.setdefault(reason, []).append(candidate)
    learnt = {candidate.label for candidate in usable if candidate.split == "train"}
    unlearnt = [candidate for candidate in usable if candidate.label not in learnt]
    if unlearnt:
        lost["class not in train"] = unlearnt
        names = ", ".join(sorted({candidate.label for candidate in unlearnt}))
        log.warning("left out for want of a sample in train: %s", names)
    return [candidate for candidate in usable if candidate.label in learnt], lost


def _reason_to_leave_out(candidate: _Candidate, params: ClassifyViewParams) -> str | None:
    if not candidate.label:
        return "no label"
    if candidate.split is None:
        return "picture in no split"
    if min(candidate.window.width, candidate.window.height) < params.min_side_px:
        return "too small"
    return None


def _plan(kept: list[_Candidate], params: ClassifyViewParams) -> PackPlan:
    classes = sorted({candidate.label for candidate in kept})
    class_index = {label: index for index, label in enumerate(classes)}
    samples: list[Sample] = []
    offset = 0
    for candidate in kept:
        width, height = _packed_size(candidate, params)
        image_id, region, split = candidate.picture.image_id, candidate.region, candidate.split
        original_id = image_id if region is None else f"{image_id}#{region}"
        for copy in range(_num_pictures(candidate, params)):
            sample = Sample(
                sample_id=f"{original_id}~{copy}" if copy else original_id,
                image_id=image_id,
                region=region,
                copy=copy,
                split=split or "train",  # `_sieve` has left out those without
                group=candidate.group,
                label=candidate.label,
                class_index=class_index[candidate.label],
                offset=offset,
                width=width,
                height=height,
            )
            samples.append(sample)
            offset += width * height * params.channels
    return PackPlan(
        source=params.source,
        classes=classes,
        channels=params.channels,
        max_side_px=params.max_side_px,
        samples=samples,
    )


def _packed_size(candidate: _Candidate, params: ClassifyViewParams) -> tuple[int, int]:
    window = candidate.window
    return packed_size(window.width, window.height, max_side_px=params.max_side_px)


def _num_pictures(candidate: _Candidate, params: ClassifyViewParams) -> int:
    return 1 + params.copies if candidate.split == "train" else 1


def _refuse_unusable(plan: PackPlan, lost: Mapping[str, list[_Candidate]]) -> None:
    """Stop before anything is trained where no classifier could be trained or judged."""
    where = f"view classify, source {plan.source}"
    left_out = "".join(f"; {len(items)} left out: {reason}" for reason, items in sorted(lost.items()))
    if not plan.samples:
        fix = "check validate.label_attribute" if plan.source == "objects" else _FIX_PICTURES
        raise DataError(where, f"there is nothing to classify{left_out}", fix)
    if len(plan.classes) < 2:
        fix = "annotate a second class; a classifier needs two to choose from"
        raise DataError(where, f"the only class is {plan.classes[0]!r}{left_out}", fix)
    found = {sample.split for sample in plan.samples}
    empty = [split for split in SPLITS if split not in found]
    if empty:
        fix = "annotate more pictures, raise split.val_fraction or split.test_fraction, or pin pictures"
        raise DataError(where, f"no sample is in {' or '.join(empty)}{left_out}", fix)


def _tell_and_check_disk(plan: PackPlan, out: Path) -> None:
    log.info("%d samples, %.1f MB on disk", len(plan.samples), plan.num_bytes / 1e6)
    existing = next(folder for folder in out.absolute().parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if plan.num_bytes > free:
        what = f"{plan.num_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        raise StorageError(str(out), what, "free some disk, or lower augment.classify.max_side_px or copies")


def _render(
    kept: list[_Candidate], samples: Iterable[Sample], raw_dir: Path, params: ClassifyViewParams
) -> Iterator[Picture]:
    """Yield the picture of every sample, each raw picture decoded once."""
    crop_flip = build_crop_flip(params.copy_transform)
    rest = iter(samples)
    for _, of_picture in groupby(kept, key=lambda candidate: candidate.picture.image_id):
        candidates = list(of_picture)
        whole = _decode(candidates[0].picture, raw_dir, params)
        for candidate in candidates:
            for sample in islice(rest, _num_pictures(candidate, params)):
                if sample.copy == 0:
                    original = resize(candidate.window.cut(whole), width=sample.width, height=sample.height)
                    yield original
                else:
                    yield crop_flip(original, seed_of(params.seed, "copy", sample.sample_id))


def _decode(picture: LabelledPicture, raw_dir: Path, params: ClassifyViewParams) -> Picture:
    path = raw_dir / picture.image_id
    # `ingest` has refused what is too large
    pixels = read_picture(path, channels=params.channels, max_pixels=sys.maxsize)
    if pixels.shape[:2] != (picture.height, picture.width):
        what = f"is {pixels.shape[1]} x {pixels.shape[0]} px, but was {picture.width} x {picture.height}"
        raise DataError(str(path), what, "the picture has changed: run `dvc repro`")
    return pixels


def _report(
    kept: list[_Candidate], lost: Mapping[str, list[_Candidate]], params: ClassifyViewParams
) -> ViewReport:
    def is_shrunk(candidate: _Candidate) -> bool:
        return max(candidate.window.width, candidate.window.height) > params.max_side_px

    return ViewReport(
        kept=_table(kept),
        copies=_table(c for c in kept for _ in range(_num_pictures(c, params) - 1)),
        clipped=_table(c for c in kept if c.window.is_clipped),
        shrunk=_table(c for c in kept if is_shrunk(c)),
        lost={reason: _table(candidates) for reason, candidates in lost.items()},
    )


def _table(candidates: Iterable[_Candidate]) -> _Table:
    table: _Table = {}
    for candidate in candidates:
        of_class = table.setdefault(candidate.label, {})
        split = candidate.split or "none"
        of_class[split] = of_class.get(split, 0) + 1
    return table


_FIX_PICTURES: Final = (
    "name a file attribute with the classes in validate.image_label_attribute, "
    "or set augment.classify.source to objects"
)
