"""View `detect`: whole pictures, shrunk where they are large, the boxes in each, and seeded copies of train.

Where every box lies, in copies too, follows from boxes, sizes and seeds alone, so the whole pack is planned
before the first picture is decoded; then each picture is decoded once.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from cnnpipe.annotations import SPLITS, LabelledObject, Split
from cnnpipe.augmentation.boxes import AugmentBoxes, build_box_crop_flip
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.augmentation.preprocess import Picture, resize
from cnnpipe.datasets.crops import packed_size
from cnnpipe.datasets.detection import boxes_of
from cnnpipe.datasets.packs import PackPlan, open_detect_view
from cnnpipe.datasets.records import DetectSample
from cnnpipe.datasets.split_pictures import SplitPicture, ViewInputs, decode
from cnnpipe.datasets.view_planning import PlannedView, describe_lost, refuse_empty_split, sieve
from cnnpipe.errors import DataError
from cnnpipe.geometry.boxes import Box
from cnnpipe.params.augment import DetectViewParams
from cnnpipe.reports.detect_preview import write_detect_preview
from cnnpipe.seeding import seed_of
from cnnpipe.tasks.detect.view_report import in_short, report_view

log = logging.getLogger(__name__)

_WHERE: Final = "view detect"


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    """An object where it lies in the packed picture."""

    image_id: str
    region: int
    label: str
    box: Box
    split: Split | None


class _Sieved(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of pictures and objects."""

    pictures: list[SplitPicture]
    objects: dict[str, list[_Object]]  # by image_id; pictures may have none
    lost_pictures: dict[str, list[SplitPicture]]  # by reason
    lost_objects: dict[str, list[_Object]]

    @property
    def classes(self) -> list[str]:
        return sorted({each.label for objects in self.objects.values() for each in objects})


def plan_view(inputs: ViewInputs, params: DetectViewParams) -> PlannedView:
    """Return the view to be written.

    Raises:
        DataError: no object in train or val, or a split without pictures.
    """
    sieved = _sieve(inputs.pictures, params)
    _refuse_without_objects(sieved, any(item.objects for item in inputs.pictures))
    plan = PackPlan(
        task="detect",
        source="objects",
        label_attribute=inputs.attributes.label_attribute or "",  # without one there is no object
        classes=sieved.classes,
        channels=params.channels,
        max_side_px=params.max_side_px,
        samples=_samples(sieved, params),
    )
    refuse_empty_split(plan.samples, where=_WHERE, left_out=describe_lost(sieved.lost_pictures))
    _warn_of_lacking_classes(sieved)
    report = report_view(plan, sieved.lost_objects, sieved.lost_pictures)
    return PlannedView(
        plan=plan,
        report=report,
        counts=in_short(report),
        render=partial(_render, sieved.pictures, plan.samples, inputs.raw_dir, params),
        draw_preview=partial(_draw_preview, params=params),
    )


def _sieve(pictures: Sequence[SplitPicture], params: DetectViewParams) -> _Sieved:
    every = (_pack_object(each, item, params) for item in pictures for each in item.objects)
    kept, lost = sieve(every, partial(_reason_to_lose_object, params=params))
    objects: dict[str, list[_Object]] = {}
    for each in kept:
        objects.setdefault(each.image_id, []).append(each)
    kept_pictures: list[SplitPicture] = []
    lost_pictures: dict[str, list[SplitPicture]] = {}
    for item in pictures:
        reason = _reason_to_lose_picture(item)
        if reason is None:
            kept_pictures.append(item)
        else:
            lost_pictures.setdefault(reason, []).append(item)
    return _Sieved(pictures=kept_pictures, objects=objects, lost_pictures=lost_pictures, lost_objects=lost)


def _pack_object(labelled: LabelledObject, item: SplitPicture, params: DetectViewParams) -> _Object:
    width, height = _packed_size(item, params)
    x, y = width / item.picture.width, height / item.picture.height
    box = labelled.box
    return _Object(
        image_id=item.picture.image_id,
        region=labelled.region,
        label=labelled.label,
        # rounding must not lead out of the picture
        box=Box(box.x_min * x, box.y_min * y, min(box.x_max * x, width), min(box.y_max * y, height)),
        split=item.split,
    )


def _packed_size(item: SplitPicture, params: DetectViewParams) -> tuple[int, int]:
    return packed_size(item.picture.width, item.picture.height, max_side_px=params.max_side_px)


def _reason_to_lose_object(each: _Object, params: DetectViewParams) -> str | None:
    if each.split is None:
        return "picture in no split"
    return "too small" if min(each.box.width, each.box.height) < params.min_box_side_px else None


def _reason_to_lose_picture(item: SplitPicture) -> str | None:
    if item.split is None:
        return "in no split"
    if item.picture.is_pending:
        return "not yet annotated"
    # something is there: it must not teach what is nothing
    return "no region passed the gate" if item.picture.is_annotated and not item.objects else None


def _refuse_without_objects(sieved: _Sieved, has_any: bool) -> None:
    """Stop before anything is trained where there is nothing to learn, or nothing to choose an epoch by."""
    left_out = describe_lost(sieved.lost_objects)
    if not sieved.classes:
        fix = (
            "lower augment.detect.min_box_side_px, raise augment.detect.max_side_px, or pin pictures to train"
            if has_any
            else "draw regions around objects in VIA, and check validate.label_attribute"
        )
        raise DataError(_WHERE, f"there is nothing to detect{left_out}", fix)
    if "val" not in {each.split for objects in sieved.objects.values() for each in objects}:
        fix = "annotate more pictures, raise split.val_fraction, or pin pictures with objects to val"
        raise DataError(_WHERE, f"no object is in val{left_out}", fix)


def _warn_of_lacking_classes(sieved: _Sieved) -> None:
    found = {(each.label, each.split) for objects in sieved.objects.values() for each in objects}
    for split in SPLITS:
        lacking = [label for label in sieved.classes if (label, split) not in found]
        if lacking:
            log.warning("no object in %s to judge by: %s", split, ", ".join(lacking))


def _samples(sieved: _Sieved, params: DetectViewParams) -> list[DetectSample]:
    class_index = {label: index for index, label in enumerate(sieved.classes)}
    crop_flip = build_box_crop_flip(params.copy_transform, min_visible_fraction=params.min_visible_fraction)
    samples: list[DetectSample] = []
    offset = 0
    for item in sieved.pictures:
        objects = sieved.objects.get(item.picture.image_id, [])
        original = _original(item, objects, class_index, params)
        for copy in range(_num_pictures(item, params)):
            sample = _copy_of(original, copy, crop_flip, params) if copy else original
            samples.append(msgspec.structs.replace(sample, offset=offset))
            offset += sample.width * sample.height * params.channels
    return samples


def _num_pictures(item: SplitPicture, params: DetectViewParams) -> int:
    return 1 + params.copies if item.split == "train" else 1


def _original(
    item: SplitPicture, objects: Sequence[_Object], class_index: Mapping[str, int], params: DetectViewParams
) -> DetectSample:
    width, height = _packed_size(item, params)
    return DetectSample(
        sample_id=item.picture.image_id,
        image_id=item.picture.image_id,
        copy=0,
        split=item.split or "train",  # those without are left out
        group=item.group,
        offset=0,  # as yet
        width=width,
        height=height,
        original_width=item.picture.width,
        original_height=item.picture.height,
        boxes=[each.box for each in objects],
        class_index=[class_index[each.label] for each in objects],
        region=[each.region for each in objects],
    )


def _copy_of(
    original: DetectSample, copy: int, crop_flip: AugmentBoxes, params: DetectViewParams
) -> DetectSample:
    """Return the sample of a copy, with what of the boxes is left in it.

    A box that the crop has cut below `min_box_side_px` is lost, too.
    """
    sample_id = f"{original.sample_id}~{copy}"
    # where the crop lies follows from size and seed, not from pixels
    blank = np.zeros((original.height, original.width, 1), dtype=np.uint8)
    _, boxes_M4, kept_M = crop_flip(blank, boxes_of(original), _seed_of_copy(sample_id, params))
    sides_M2 = boxes_M4[:, 2:] - boxes_M4[:, :2]
    is_large_M = (sides_M2 >= params.min_box_side_px).all(axis=1)
    kept = kept_M[is_large_M].tolist()
    return msgspec.structs.replace(
        original,
        sample_id=sample_id,
        copy=copy,
        boxes=[Box(*corners) for corners in boxes_M4[is_large_M].tolist()],
        class_index=[original.class_index[index] for index in kept],
        region=[original.region[index] for index in kept],
    )


def _seed_of_copy(sample_id: str, params: DetectViewParams) -> int:
    return seed_of(params.seed, "copy", sample_id)


def _render(
    pictures: Iterable[SplitPicture],
    samples: Iterable[DetectSample],
    raw_dir: Path,
    params: DetectViewParams,
) -> Iterator[Picture]:
    """Yield the picture of every sample, each raw picture decoded once."""
    crop_flip = build_crop_flip(params.copy_transform)
    rest = iter(samples)
    for item in pictures:
        whole = decode(item.picture, raw_dir, channels=params.channels)
        for sample in islice(rest, _num_pictures(item, params)):
            if sample.copy == 0:
                original = resize(whole, width=sample.width, height=sample.height)
                yield original
            else:
                yield crop_flip(original, _seed_of_copy(sample.sample_id, params))


def _draw_preview(folder: Path, path: Path, *, params: DetectViewParams) -> None:
    write_detect_preview(path, open_detect_view(folder), params)
