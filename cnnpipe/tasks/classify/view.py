"""View `classify`: a crop per object, or whole pictures, each with its class; and seeded copies of train."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.annotations import Split
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.augmentation.preprocess import resize
from cnnpipe.datasets.crop_views import (
    Change,
    Cut,
    cut_object,
    cut_whole,
    is_shrunk,
    lay_out,
    num_copies,
    reason_against,
    render,
)
from cnnpipe.datasets.packs import PackPlan, open_view
from cnnpipe.datasets.records import Sample
from cnnpipe.datasets.split_pictures import LabelAttributes, SplitPicture, ViewInputs
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


class ViewReport(msgspec.Struct, frozen=True, kw_only=True):
    """report.json: what became of every object, or picture, by class and split."""

    kept: Table  # originals in the view
    copies: Table  # crop/flip copies beside them
    clipped: Table  # of those kept: the picture ends where the crop wanted more
    shrunk: Table  # of those kept: the crop was larger than max_side_px
    lost: dict[str, Table]  # by reason


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An object, or a picture, that may become a sample."""

    cut: Cut
    label: str  # "": the picture has none
    has_several_labels: bool  # its region is several objects: one crop cannot be of two classes

    @property
    def split(self) -> Split | None:
        return self.cut.split


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
    change = Change(resize, build_crop_flip(params.copy_transform))
    cuts = [candidate.cut for candidate in kept]
    return PlannedView(
        plan=plan,
        report=_report(kept, lost, params),
        counts=counts,
        render=partial(render, cuts, plan.samples, inputs.raw_dir, params, change),
        draw_preview=partial(_draw_preview, params=params),
    )


def _candidates(item: SplitPicture, params: ClassifyViewParams) -> Iterator[_Candidate]:
    if params.source == "pictures":
        yield _Candidate(cut=cut_whole(item), label=item.picture.label or "", has_several_labels=False)
        return
    times = Counter(each.region for each in item.objects)
    for each in item.objects:
        yield _Candidate(
            cut=cut_object(each, item, params),
            label=each.label,
            has_several_labels=times[each.region] > 1,
        )


def _reason_to_leave_out(candidate: _Candidate, params: ClassifyViewParams) -> str | None:
    if not candidate.label:
        return "no label"
    if candidate.has_several_labels:
        return "of several classes"
    return reason_against(candidate.cut, params)


def _plan(
    kept: list[_Candidate], attributes: LabelAttributes, params: ClassifyViewParams
) -> PackPlan[Sample]:
    classes = sorted({candidate.label for candidate in kept})
    class_index = {label: index for index, label in enumerate(classes)}
    laid_out = lay_out((candidate.cut for candidate in kept), params)
    samples = [
        Sample(
            **msgspec.structs.asdict(crop),
            label=candidate.label,
            class_index=class_index[candidate.label],
        )
        for candidate, crops in zip(kept, laid_out, strict=True)
        for crop in crops
    ]
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


def _report(
    kept: list[_Candidate], lost: Mapping[str, list[_Candidate]], params: ClassifyViewParams
) -> ViewReport:
    return ViewReport(
        kept=count_by_class(kept),
        copies=count_by_class(c for c in kept for _ in range(num_copies(c.cut, params))),
        clipped=count_by_class(c for c in kept if c.cut.window.is_clipped),
        shrunk=count_by_class(c for c in kept if is_shrunk(c.cut, params)),
        lost={reason: count_by_class(candidates) for reason, candidates in lost.items()},
    )


def _draw_preview(folder: Path, path: Path, *, params: ClassifyViewParams) -> None:
    write_view_preview(path, open_view(folder), params)


_FIX_PICTURES: Final = (
    "name a file attribute with the classes in validate.image_label_attribute, "
    "or set augment.classify.source to objects"
)
