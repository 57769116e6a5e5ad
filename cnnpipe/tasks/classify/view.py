"""View `classify`: a crop per object, or whole pictures, each with its class; and seeded copies of train.

Which crop each object gets follows from boxes and sizes alone, so the whole pack is planned before the first
picture is decoded; then each picture is decoded once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.annotations import LabelledObject, LabelledPicture, Split
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.augmentation.preprocess import Picture, resize
from cnnpipe.datasets.crops import Window, crop_window, packed_size
from cnnpipe.datasets.packs import PackPlan, open_view
from cnnpipe.datasets.records import Sample
from cnnpipe.datasets.split_pictures import LabelAttributes, SplitPicture, ViewInputs, decode
from cnnpipe.datasets.view_planning import (
    PlannedView,
    Table,
    count_by_class,
    describe_lost,
    refuse_empty_split,
    sieve,
)
from cnnpipe.errors import DataError
from cnnpipe.params.augment import ClassifyViewParams
from cnnpipe.reports.view_preview import write_view_preview
from cnnpipe.seeding import seed_of


class ViewReport(msgspec.Struct, frozen=True, kw_only=True):
    """report.json: what became of every object, or picture, by class and split."""

    kept: Table  # originals in the view
    copies: Table  # crop/flip copies beside them
    clipped: Table  # of those kept: the picture ends where the crop wanted more
    shrunk: Table  # of those kept: the crop was larger than max_side_px
    lost: dict[str, Table]  # by reason


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An object, or a picture, that may become a sample."""

    picture: LabelledPicture
    region: int | None
    label: str  # "": the picture has none
    window: Window
    split: Split | None
    group: str
    has_several_labels: bool  # its region is several objects: one crop cannot be of two classes


def plan_view(inputs: ViewInputs, params: ClassifyViewParams) -> PlannedView:
    """Return the view to be written.

    Raises:
        DataError: nothing to classify, fewer than two classes, or a split without samples.
    """
    candidates = [each for item in inputs.pictures for each in _candidates(item, params)]
    kept, lost = sieve(candidates, partial(_reason_to_leave_out, params=params))
    plan = _plan(kept, inputs.attributes, params)
    _refuse_unusable(plan, describe_lost(lost))
    counts: Counter[str] = Counter(str(candidate.split) for candidate in kept)
    counts["copies"] = len(plan.samples) - len(kept)
    counts.update({f"lost ({reason})": len(items) for reason, items in lost.items()})
    return PlannedView(
        plan=plan,
        report=_report(kept, lost, params),
        counts=counts,
        render=partial(_render, kept, plan.samples, inputs.raw_dir, params),
        draw_preview=partial(_draw_preview, params=params),
    )


def _candidates(item: SplitPicture, params: ClassifyViewParams) -> Iterator[_Candidate]:
    if params.source == "objects":
        times = Counter(each.region for each in item.objects)
        for each in item.objects:
            yield _object_candidate(each, item, params, has_several_labels=times[each.region] > 1)
        return
    picture = item.picture
    window = Window(x_min=0, y_min=0, x_max=picture.width, y_max=picture.height)
    label = picture.label or ""
    yield _Candidate(
        picture=picture,
        region=None,
        label=label,
        window=window,
        split=item.split,
        group=item.group,
        has_several_labels=False,
    )


def _object_candidate(
    labelled: LabelledObject, item: SplitPicture, params: ClassifyViewParams, *, has_several_labels: bool
) -> _Candidate:
    window = crop_window(
        labelled.box,
        margin_fraction=params.margin_fraction,
        square=params.square,
        width=item.picture.width,
        height=item.picture.height,
    )
    return _Candidate(
        picture=item.picture,
        region=labelled.region,
        label=labelled.label,
        window=window,
        split=item.split,
        group=item.group,
        has_several_labels=has_several_labels,
    )


def _reason_to_leave_out(candidate: _Candidate, params: ClassifyViewParams) -> str | None:
    if not candidate.label:
        return "no label"
    if candidate.has_several_labels:
        return "of several classes"
    if candidate.split is None:
        return "picture in no split"
    if min(candidate.window.width, candidate.window.height) < params.min_side_px:
        return "too small"
    return None


def _plan(
    kept: list[_Candidate], attributes: LabelAttributes, params: ClassifyViewParams
) -> PackPlan[Sample]:
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
                split=split or "train",  # the sieve has left out those without
                group=candidate.group,
                label=candidate.label,
                class_index=class_index[candidate.label],
                offset=offset,
                width=width,
                height=height,
            )
            samples.append(sample)
            offset += width * height * params.channels
    of_objects = params.source == "objects"
    attribute = attributes.label_attribute if of_objects else attributes.image_label_attribute
    return PackPlan(
        task="classify",
        source=params.source,
        label_attribute=attribute or "",  # without one nothing has a class, and the view is refused
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


def _refuse_unusable(plan: PackPlan[Sample], left_out: str) -> None:
    """Stop before anything is trained where no classifier could be trained or judged."""
    where = f"view classify, source {plan.source}"
    if not plan.samples:
        fix = "check validate.label_attribute" if plan.source == "objects" else _FIX_PICTURES
        raise DataError(where, f"there is nothing to classify{left_out}", fix)
    if len(plan.classes) < 2:
        fix = "annotate a second class; a classifier needs two to choose from"
        raise DataError(where, f"the only class is {plan.classes[0]!r}{left_out}", fix)
    refuse_empty_split(plan.samples, where=where, left_out=left_out)


def _render(
    kept: list[_Candidate], samples: Iterable[Sample], raw_dir: Path, params: ClassifyViewParams
) -> Iterator[Picture]:
    """Yield the picture of every sample, each raw picture decoded once."""
    crop_flip = build_crop_flip(params.copy_transform)
    rest = iter(samples)
    for _, of_picture in groupby(kept, key=lambda candidate: candidate.picture.image_id):
        candidates = list(of_picture)
        whole = decode(candidates[0].picture, raw_dir, channels=params.channels)
        for candidate in candidates:
            for sample in islice(rest, _num_pictures(candidate, params)):
                if sample.copy == 0:
                    original = resize(candidate.window.cut(whole), width=sample.width, height=sample.height)
                    yield original
                else:
                    yield crop_flip(original, seed_of(params.seed, "copy", sample.sample_id))


def _report(
    kept: list[_Candidate], lost: Mapping[str, list[_Candidate]], params: ClassifyViewParams
) -> ViewReport:
    def is_shrunk(candidate: _Candidate) -> bool:
        return max(candidate.window.width, candidate.window.height) > params.max_side_px

    return ViewReport(
        kept=count_by_class(kept),
        copies=count_by_class(c for c in kept for _ in range(_num_pictures(c, params) - 1)),
        clipped=count_by_class(c for c in kept if c.window.is_clipped),
        shrunk=count_by_class(c for c in kept if is_shrunk(c)),
        lost={reason: count_by_class(candidates) for reason, candidates in lost.items()},
    )


def _draw_preview(folder: Path, path: Path, *, params: ClassifyViewParams) -> None:
    write_view_preview(path, open_view(folder), params)


_FIX_PICTURES: Final = (
    "name a file attribute with the classes in validate.image_label_attribute, "
    "or set augment.classify.source to objects"
)
