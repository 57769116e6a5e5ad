"""What planning a view takes, whatever its task: candidates are sieved and counted before pixels are read."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from cnnpipe.annotations import SPLITS, Split
from cnnpipe.datasets.packs import PackPlan, Picture
from cnnpipe.datasets.records import PackedSample
from cnnpipe.errors import DataError

log = logging.getLogger(__name__)

Table = dict[str, dict[str, int]]  # class -> split, or "none" -> number

UNLEARNT = "class not in train"


class Candidate(Protocol):
    """Something with a class that may become part of a view."""

    @property
    def label(self) -> str: ...

    @property
    def split(self) -> Split | None: ...


AnyCandidate = TypeVar("AnyCandidate", bound=Candidate)


class PlannedView(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A view that can be written: its plan, what became of everything, and how its pictures are made."""

    plan: PackPlan[Any]
    report: msgspec.Struct  # what report.json will hold
    counts: Counter[str]  # the same in short
    render: Callable[[], Iterator[Picture]]  # the picture of every sample of the plan, in its order
    draw_preview: Callable[[Path, Path], None]  # from the folder of the written view to the file of the sheet


def partition(
    candidates: Iterable[AnyCandidate], reason_to_leave_out: Callable[[AnyCandidate], str | None]
) -> tuple[list[AnyCandidate], dict[str, list[AnyCandidate]]]:
    """Return the candidates that stay, and the others by reason."""
    usable: list[AnyCandidate] = []
    lost: dict[str, list[AnyCandidate]] = {}
    for candidate in candidates:
        reason = reason_to_leave_out(candidate)
        if reason is None:
            usable.append(candidate)
        else:
            lost.setdefault(reason, []).append(candidate)
    return usable, lost


def sieve(
    candidates: Iterable[AnyCandidate], reason_to_leave_out: Callable[[AnyCandidate], str | None]
) -> tuple[list[AnyCandidate], dict[str, list[AnyCandidate]]]:
    """Return the candidates that stay, and the others by reason.

    A class without a candidate in train cannot be learnt: its candidates in val and test are left out, too.
    """
    usable, lost = partition(candidates, reason_to_leave_out)
    learnt = {candidate.label for candidate in usable if candidate.split == "train"}
    unlearnt = [candidate for candidate in usable if candidate.label not in learnt]
    if unlearnt:
        lost[UNLEARNT] = unlearnt
        names = ", ".join(sorted({candidate.label for candidate in unlearnt}))
        log.warning("left out for want of a sample in train: %s", names)
    return [candidate for candidate in usable if candidate.label in learnt], lost


def count_by_class(candidates: Iterable[Candidate]) -> Table:
    """Return the number of candidates by class, then by split."""
    table: Table = {}
    for candidate in candidates:
        of_class = table.setdefault(candidate.label, {})
        split = candidate.split or "none"
        of_class[split] = of_class.get(split, 0) + 1
    return table


def describe_lost(lost: Mapping[str, Sequence[object]]) -> str:
    """Return "; 3 left out: too small", to be added to what is wrong with a view."""
    return "".join(f"; {len(items)} left out: {reason}" for reason, items in sorted(lost.items()))


def refuse_empty_split(samples: Iterable[PackedSample], *, where: str, left_out: str) -> None:
    """Check that there is something to train on, to choose by and to judge by.

    Raises:
        DataError: a split has no sample.
    """
    found = {sample.split for sample in samples}
    empty = [split for split in SPLITS if split not in found]
    if empty:
        fix = "annotate more pictures, raise split.val_fraction or split.test_fraction, or pin pictures"
        raise DataError(where, f"no sample is in {' or '.join(empty)}{left_out}", fix)
