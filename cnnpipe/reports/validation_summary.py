"""What validation counted: per class and per code of finding, with shares and limits."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from cnnpipe.annotations import FINDING_CODES, Finding, LabelledObject, Severity, Unit


class ClassCount(msgspec.Struct, frozen=True):
    """How much there is of one class."""

    objects: int
    pictures: int


class CodeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one code."""

    code: str
    severity: Severity
    unit: Unit
    count: int  # pictures, regions, or sets
    share: float | None  # of all pictures, or of all regions
    limit: float | None  # of params.yaml
    places: Sequence[Finding]  # in order

    @property
    def is_over(self) -> bool:
        """Whether the share exceeds the limit."""
        return self.limit is not None and self.share is not None and self.share > self.limit


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What validation found, as report.json holds it."""

    counts: dict[str, int]
    decisions: dict[str, Any]
    classes: dict[str, ClassCount]
    image_classes: dict[str, int]
    findings: list[CodeSummary]


def count_classes(objects: Iterable[LabelledObject]) -> dict[str, ClassCount]:
    """Return how many objects there are of each class, and in how many pictures, by name."""
    num_objects: Counter[str] = Counter()
    image_ids: dict[str, set[str]] = defaultdict(set)
    for each in objects:
        num_objects[each.label] += 1
        image_ids[each.label].add(each.image_id)
    return {
        label: ClassCount(objects=num_objects[label], pictures=len(image_ids[label]))
        for label in sorted(image_ids)
    }


def summarise_codes(
    findings: Iterable[Finding], limits: Mapping[str, float], totals: Mapping[Unit, int]
) -> list[CodeSummary]:
    """Return a summary of each code that occurs or has a limit, in the order of FINDING_CODES.

    Args:
        findings: in order.
        limits: largest share by code.
        totals: how many pictures and regions there are, of which the shares are.
    """
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_code[finding.code].append(finding)
    return [
        _summarise_code(code, by_code[code], limits.get(code), totals)
        for code in FINDING_CODES
        if by_code[code] or code in limits
    ]


def _summarise_code(
    code: str, places: Sequence[Finding], limit: float | None, totals: Mapping[Unit, int]
) -> CodeSummary:
    severity, unit = FINDING_CODES[code]
    count = count_places(places, unit)
    return CodeSummary(
        code=code,
        severity=severity,
        unit=unit,
        count=count,
        share=None if unit == "set" else count / max(totals[unit], 1),
        limit=limit,
        places=places,
    )


def count_places(places: Sequence[Finding], unit: Unit) -> int:
    """Return how many pictures or regions there are: each counts once, whatever is said of it.

    What is said of a whole picture counts as one region, unless its regions are named, too.
    """
    if unit == "set":
        return len(places)
    pictures = {finding.where for finding in places}
    if unit == "picture":
        return len(pictures)
    regions = {(finding.where, finding.region) for finding in places if finding.region is not None}
    return len(regions) + len(pictures - {where for where, _ in regions})
