"""What is odd about the classes as a whole: rare, uneven, spelled in two ways, untidily written."""

import json
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cnnpipe.annotations import Finding, LabelledObject, LabelledPicture, found
from cnnpipe.formats.via.labels import labels_of, texts_of
from cnnpipe.formats.via.spelling import near_spellings

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = 80  # a sentence has its middle left out; what stands around it stays
_FEWEST_PICTURES: Final = 3  # of a class: one for each of train, val and test


def check_classes(
    pictures: Iterable[LabelledPicture], objects: Iterable[LabelledObject], *, most_uneven: float
) -> list[Finding]:
    """Return what is to be said of the classes, of those of objects and of whole pictures apart.

    Args:
        pictures: that passed the gate.
        objects: the same.
        most_uneven: how many times the smallest class the largest may be.
    """
    of_objects = _count((each.label, each.image_id) for each in objects)
    of_pictures = _count((each.label, each.image_id) for each in pictures if each.label is not None)
    findings: list[Finding] = []
    for counts, what in ((of_objects, "objects"), (of_pictures, "pictures")):
        findings += _check_rare(counts)
        findings += _check_spelling(counts)
        findings += _check_balance(counts, what, most_uneven)
    return findings


def check_tidiness(
    attributes: Iterable[tuple[str, Mapping[str, Any]]], attribute: str | None, *, of: str
) -> list[Finding]:
    """Return a finding for each value of the class that stands with blanks or line ends around it.

    Args:
        attributes: of each region or picture, after its image_id.
        attribute: the one with the class; None: there is none.
        of: regions or pictures, as the finding calls them.
    """
    if attribute is None:
        return []
    untidy: dict[str, Counter[str]] = {}
    for image_id, each in attributes:
        for text in texts_of(each.get(attribute)):
            if text != text.strip() and labels_of(text):
                untidy.setdefault(text, Counter())[image_id] += 1
    fix = "write it without blanks and line ends around it in VIA; nothing else is to be done"
    findings = []
    for text, places in untidy.items():
        times = places.total()
        what = f"{attribute!r} is {_SHORT.repr(text)} on {times} {of if times > 1 else of.removesuffix('s')}"
        taken = f"taken as {_SHORT.repr(text.strip())}"
        findings.append(found("label-untidy", min(places), f"{what}; {taken}", fix))
    return findings


def _count(labelled: Iterable[tuple[str, str]]) -> dict[str, Counter[str]]:
    """Return how often each label stands in each picture."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for label, image_id in labelled:
        counts[label][image_id] += 1
    return dict(counts)


def _check_rare(counts: Mapping[str, Counter[str]]) -> list[Finding]:
    return [
        found(
            "class-rare",
            min(places),
            f"class {_SHORT.repr(label)} is in {_pictures(len(places))}: a split will lack it",
            "annotate more, or rename the class",
        )
        for label, places in sorted(counts.items())
        if len(places) < _FEWEST_PICTURES
    ]


def _check_spelling(counts: Mapping[str, Counter[str]]) -> list[Finding]:
    findings = []
    for pair in near_spellings(counts):
        rare, common = sorted(pair, key=lambda label: (len(counts[label]), label))
        what = f"{_sized(rare, counts)} is spelled almost like {_sized(common, counts)}"
        line = f"{json.dumps(rare, ensure_ascii=False)}: {json.dumps(common, ensure_ascii=False)}"
        fix = (
            f"if they are one class, write under validate.label_map: {line}; or give them one spelling in VIA"
        )
        findings.append(found("label-spelling", min(counts[rare]), what, fix))
    return findings


def _check_balance(counts: Mapping[str, Counter[str]], what: str, most_uneven: float) -> list[Finding]:
    if not counts:
        return []
    totals = {label: places.total() for label, places in sorted(counts.items())}
    largest, smallest = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
    ratio = totals[largest] / totals[smallest]
    if ratio <= most_uneven:
        return []
    names = _SHORT.repr(largest), _SHORT.repr(smallest)
    sizes = f"{names[0]} has {totals[largest]} {what}, {names[1]} {totals[smallest]}"
    fix = "annotate more of the small class, or join classes in validate.label_map"
    return [found("class-imbalance", min(counts[smallest]), f"{sizes}: {ratio:.0f} times as many", fix)]


def _sized(label: str, counts: Mapping[str, Counter[str]]) -> str:
    return f"{label!r} ({_pictures(len(counts[label]))})"


def _pictures(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"
