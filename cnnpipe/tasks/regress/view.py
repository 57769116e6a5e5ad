"""View `regress`: a crop per object, or whole pictures, each with its number; and seeded copies of train."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from cnnpipe.annotations import SPLITS, Split
from cnnpipe.augmentation.policy import build_crop_flip
from cnnpipe.augmentation.preprocess import resize
from cnnpipe.datasets.crop_views import (
    Change,
    Cut,
    cut_around,
    cut_object,
    cut_whole,
    is_shrunk,
    lay_out,
    reason_against,
    render,
)
from cnnpipe.datasets.packs import PackPlan, open_regress_view
from cnnpipe.datasets.records import RegressSample
from cnnpipe.datasets.split_pictures import SplitPicture, ViewInputs
from cnnpipe.datasets.view_planning import PlannedView, describe_lost, partition, refuse_empty_split
from cnnpipe.errors import DataError
from cnnpipe.formats.via.numbers import NO_NUMBER, NOT_FINITE, as_seen, number_of
from cnnpipe.params.augment import RegressViewParams
from cnnpipe.reports.regress_preview import write_regress_preview

_NUM_SEEN: Final = 10  # texts that are no number, of each reason, in report.json
_NUM_TOLD: Final = 3  # of them in a message

_Counts = dict[str, int]  # split, or "none" -> number


class ValueRange(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a split's originals, in the unit of the attribute."""

    least: float
    median: float
    mean: float
    largest: float


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What stands where a number should."""

    image_id: str
    region: int | None  # None: on the picture as a whole
    value: str


class RegressViewReport(msgspec.Struct, frozen=True, kw_only=True):
    """report.json: what became of every object, or picture, by split."""

    attribute: str
    values: dict[str, ValueRange]  # by split
    kept: _Counts  # originals in the view
    copies: int  # crop/flip copies beside them
    clipped: _Counts  # of those kept: the picture ends where the crop or window wanted more
    shrunk: _Counts  # of those kept: the crop was larger than max_side_px
    lost: dict[str, _Counts]  # by reason
    seen: dict[str, list[Seen]]  # by reason, the first of what is no number


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An object, or a picture, that may become a sample."""

    cut: Cut
    seen: Any  # what VIA holds
    value: float | None
    reason: str | None  # why there is no value

    @property
    def label(self) -> str:
        return ""  # there are no classes

    @property
    def split(self) -> Split | None:
        return self.cut.split


def plan_view(inputs: ViewInputs, params: RegressViewParams) -> PlannedView:
    """Return the view to be written.

    Raises:
        DataError: no number to learn from, only one and the same in train, or a split without samples.
    """
    candidates = [each for item in inputs.pictures for each in _candidates(item, params)]
    kept, lost = partition(candidates, partial(_reason_to_leave_out, params=params))
    plan = _plan(kept, params)
    _refuse_unusable(plan, candidates, f"{describe_lost(lost)}{_describe_seen(lost)}", params)
    counts: Counter[str] = Counter(str(candidate.split) for candidate in kept)
    counts["copies"] = len(plan.samples) - len(kept)
    counts.update({f"lost ({reason})": len(items) for reason, items in lost.items()})
    change = Change(resize, build_crop_flip(params.copy_transform))
    cuts = [candidate.cut for candidate in kept]
    return PlannedView(
        plan=plan,
        report=_report(kept, lost, params, num_copies=counts["copies"]),
        counts=counts,
        render=partial(render, cuts, plan.samples, inputs.raw_dir, params, change),
        draw_preview=partial(_draw_preview, params=params),
    )


def _candidates(item: SplitPicture, params: RegressViewParams) -> Iterator[_Candidate]:
    if params.source == "pictures":
        yield _candidate(cut_whole(item), item.picture.file_attributes, params)
        return
    # a region with several classes is several objects, and has one number
    for each in {labelled.region: labelled for labelled in item.objects}.values():
        cut = (
            cut_object(each, item, params)
            if params.window_px is None
            else cut_around(each, item, side_px=params.window_px)
        )
        yield _candidate(cut, each.attributes, params)


def _candidate(cut: Cut, attributes: Mapping[str, Any], params: RegressViewParams) -> _Candidate:
    seen = attributes.get(params.attribute)
    value, reason = number_of(seen)
    return _Candidate(cut=cut, seen=seen, value=value, reason=reason)


def _reason_to_leave_out(candidate: _Candidate, params: RegressViewParams) -> str | None:
    return candidate.reason or reason_against(candidate.cut, params)


def _plan(kept: Sequence[_Candidate], params: RegressViewParams) -> PackPlan[RegressSample]:
    laid_out = lay_out((candidate.cut for candidate in kept), params)
    samples = [
        RegressSample(**msgspec.structs.asdict(crop), value=candidate.value or 0.0)
        for candidate, crops in zip(kept, laid_out, strict=True)
        for crop in crops
    ]
    return PackPlan(
        task="regress",
        source=params.source,
        label_attribute=params.attribute,
        classes=[],
        channels=params.channels,
        max_side_px=params.max_side_px,
        samples=samples,
    )


def _refuse_unusable(
    plan: PackPlan[RegressSample],
    candidates: Sequence[_Candidate],
    left_out: str,
    params: RegressViewParams,
) -> None:
    """Stop before anything is trained where no number could be learnt or judged."""
    where, attribute = f"view regress, source {plan.source}", params.attribute
    part = "region" if params.source == "objects" else "picture"
    if not plan.samples:
        what = f"no {part} has a number as {attribute!r}{left_out}" if candidates else f"there is no {part}"
        raise DataError(where, what, _fix_of(candidates, params))
    refuse_empty_split(plan.samples, where=where, left_out=left_out)
    in_train = {sample.value for sample in plan.samples if sample.split == "train"}
    if len(in_train) == 1:
        what = f"{attribute!r} is {in_train.pop():g} on every {part} of train{left_out}"
        raise DataError(where, what, f"annotate {part}s with other numbers; of one nothing can be learnt")


def _fix_of(candidates: Sequence[_Candidate], params: RegressViewParams) -> str:
    if any(each.reason in (NO_NUMBER, NOT_FINITE) for each in candidates):
        return 'write plain numbers in VIA, with a decimal point and without a unit: "12.5"'
    if any(each.value is not None for each in candidates):
        return "lower augment.regress.min_side_px, or annotate pictures that are in a split"
    other = "pictures" if params.source == "objects" else "objects"
    held = "of files" if params.source == "objects" else "of regions"
    fix = "name the VIA attribute that holds the number in augment.regress.attribute"
    return f"{fix}; if it is one {held}, set augment.regress.source to {other}"


def _describe_seen(lost: Mapping[str, Sequence[_Candidate]]) -> str:
    """Return "; seen: "12,5" on a.png region 0", so that nobody need look for what is no number."""
    faulty = [each for reason in (NO_NUMBER, NOT_FINITE) for each in lost.get(reason, ())]
    told = [f"{as_seen(each.seen)} on {_place_of(each.cut)}" for each in faulty[:_NUM_TOLD]]
    return f"; seen: {', '.join(told)}" if told else ""


def _place_of(cut: Cut) -> str:
    return cut.picture.image_id if cut.region is None else f"{cut.picture.image_id} region {cut.region}"


def _report(
    kept: Sequence[_Candidate],
    lost: Mapping[str, Sequence[_Candidate]],
    params: RegressViewParams,
    *,
    num_copies: int,
) -> RegressViewReport:
    return RegressViewReport(
        attribute=params.attribute,
        values={split: _range_of([c.value or 0.0 for c in kept if c.split == split]) for split in SPLITS},
        kept=_by_split(kept),
        copies=num_copies,
        clipped=_by_split([each for each in kept if each.cut.window.is_clipped]),
        shrunk=_by_split([each for each in kept if is_shrunk(each.cut, params)]),
        lost={reason: _by_split(candidates) for reason, candidates in lost.items()},
        seen={
            reason: [
                Seen(image_id=c.cut.picture.image_id, region=c.cut.region, value=as_seen(c.seen))
                for c in lost[reason][:_NUM_SEEN]
            ]
            for reason in (NO_NUMBER, NOT_FINITE)
            if reason in lost
        },
    )


def _by_split(candidates: Sequence[_Candidate]) -> _Counts:
    return dict(Counter(candidate.split or "none" for candidate in candidates))


def _range_of(values: Sequence[float]) -> ValueRange:
    return ValueRange(
        least=min(values),
        median=statistics.median(values),
        mean=statistics.fmean(values),
        largest=max(values),
    )


def _draw_preview(folder: Path, path: Path, *, params: RegressViewParams) -> None:
    write_regress_preview(path, open_regress_view(folder), params)
