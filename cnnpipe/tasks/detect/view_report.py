"""The report of view `detect`: what became of every object and of every picture."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import PackPlan
from cnnpipe.datasets.records import DetectSample
from cnnpipe.datasets.split_pictures import SplitPicture
from cnnpipe.datasets.view_planning import Candidate, Table, count_by_class

_CUT_OFF: Final = "cut off in a copy"


class PictureReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every picture, by split."""

    kept: dict[str, int]  # originals in the view
    without_objects: dict[str, int]  # of those kept: they teach what is none
    shrunk: dict[str, int]  # of those kept: larger than max_side_px
    copies: dict[str, int]  # crop/flip copies beside them
    lost: dict[str, dict[str, int]]  # by reason


class DetectViewReport(msgspec.Struct, frozen=True, kw_only=True):
    """report.json: what became of every object, by class and split, and of every picture."""

    kept: Table  # in originals
    copies: Table  # in crop/flip copies
    shrunk: Table  # of those kept: their picture was larger than max_side_px
    lost: dict[str, Table]  # by reason; what a copy has lost is still in its original
    pictures: PictureReport


class _Counted(NamedTuple):
    """An object as the report counts it."""

    label: str
    split: Split | None


def report_view(
    plan: PackPlan[DetectSample],
    lost_objects: Mapping[str, Sequence[Candidate]],
    lost_pictures: Mapping[str, Sequence[SplitPicture]],
) -> DetectViewReport:
    """Return the report of a view.

    Args:
        plan: of the view; the copies of a picture follow it.
        lost_objects: by reason, those that not even an original holds.
        lost_pictures: the same.
    """
    originals = [sample for sample in plan.samples if sample.copy == 0]
    copies = [sample for sample in plan.samples if sample.copy]
    shrunk = [s for s in originals if max(s.original_width, s.original_height) > plan.max_side_px]
    lost = {reason: count_by_class(objects) for reason, objects in lost_objects.items()}
    cut_off = count_by_class(_cut_off(plan))
    return DetectViewReport(
        kept=count_by_class(_counted(originals, plan.classes)),
        copies=count_by_class(_counted(copies, plan.classes)),
        shrunk=count_by_class(_counted(shrunk, plan.classes)),
        lost=lost | ({_CUT_OFF: cut_off} if cut_off else {}),
        pictures=PictureReport(
            kept=_by_split(originals),
            without_objects=_by_split(sample for sample in originals if not sample.boxes),
            shrunk=_by_split(shrunk),
            copies=_by_split(copies),
            lost={reason: _by_split(items) for reason, items in lost_pictures.items()},
        ),
    )


def in_short(report: DetectViewReport) -> Counter[str]:
    """Return pictures per split, objects, copies, and how much was lost by reason."""
    counts: Counter[str] = Counter(report.pictures.kept)
    counts["objects"] = _total(report.kept)
    counts["copies"] = sum(report.pictures.copies.values())
    for reason, by_split in report.pictures.lost.items():
        counts[f"pictures left out ({reason})"] = sum(by_split.values())
    counts.update({f"lost ({reason})": _total(table) for reason, table in report.lost.items()})
    return counts


def _counted(samples: Iterable[DetectSample], classes: Sequence[str]) -> Iterator[_Counted]:
    for sample in samples:
        yield from (_Counted(classes[index], sample.split) for index in sample.class_index)


def _cut_off(plan: PackPlan[DetectSample]) -> Iterator[_Counted]:
    """Yield the objects that copies have lost."""
    for sample in plan.samples:
        if sample.copy == 0:
            original = sample
        seen = set(sample.region)
        for region, index in zip(original.region, original.class_index, strict=True):
            if region not in seen:
                yield _Counted(plan.classes[index], sample.split)


def _by_split(items: Iterable[DetectSample | SplitPicture]) -> dict[str, int]:
    return dict(Counter(item.split or "none" for item in items))


def _total(table: Table) -> int:
    return sum(sum(by_split.values()) for by_split in table.values())
