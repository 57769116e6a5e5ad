"""The class in a VIA attribute: which attribute holds it, and what its value means."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

# VIA's own demo leaves these in thousands of files.
DEMO_ATTRIBUTES: Final = frozenset({"name", "type", "image_quality", "caption", "public_domain", "image_url"})
# How sure a network was (see review.py, which imports this module): a number, and never a class.
_SCORE: Final = "score"
_SPARSE: Final = 10  # times fewer values than another attribute: a slip of the mouse, or a note
_CALLED_CLASS: Final = re.compile(r"(class|label|category)(e?s|[ _-]?(name|id))?|categories", re.IGNORECASE)
# What scripts and VIA's CSV leave for no value. "none" in small letters can be a class.
_MISSING: Final = frozenset({"", "undefined", "null", "None"})


def labels_of(value: Any) -> list[str]:
    """Return the labels that one attribute value holds: mostly one; none where it is missing.

    Texts are stripped of blanks, numbers become texts (3.0 is "3"). A checkbox holds an object of
    its ticked options; unticked ones may be left as false.

    Source: via-2.x.y/src/via.js (2.0.11): values by type of attribute; `"true"` as a text and
    `false` were met in files.
    """
    if type(value) is str:  # nearly always
        label = value.strip()
        return [] if label in _MISSING else [label]
    return [label for text in texts_of(value) if (label := text.strip()) not in _MISSING]


def texts_of(value: Any) -> list[str]:
    """Return the texts that one attribute value holds, as they stand: blanks around them, too."""
    if isinstance(value, Mapping):
        return [str(option) for option, tick in value.items() if _is_ticked(tick)]
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    return [_to_text(value)]


class AttributeUse(msgspec.Struct, frozen=True):
    """How one attribute is filled in."""

    labels: Counter[str]  # empty: never filled in
    num_ticked: int  # values that are those of a checkbox

    @property
    def is_checkbox(self) -> bool:
        """Whether most values are objects of ticked options."""
        return 2 * self.num_ticked > self.labels.total()


def attributes_in_use(attributes: Iterable[Mapping[str, Any]]) -> dict[str, AttributeUse]:
    """Return how each attribute of some regions, or of some pictures, is filled in."""
    labels: dict[str, Counter[str]] = {}
    num_ticked: Counter[str] = Counter()
    for each in attributes:
        for name, value in each.items():
            counts = labels.get(name)
            if counts is None:
                counts = labels[name] = Counter()
            for label in labels_of(value):
                counts[label] += 1
            if type(value) is not str and isinstance(value, Mapping):
                num_ticked[name] += 1
    return {name: AttributeUse(counts, num_ticked[name]) for name, counts in labels.items()}


def guess_label_attribute(uses: Mapping[str, AttributeUse]) -> str | None:
    """Return the attribute that most likely holds the class; None where none has a value.

    The rule: those never filled in are left out, and those filled in on less than a tenth of what another
    is; so are the score of a network and then those of VIA's demo, unless nothing else is there. Of the rest
    a single one is taken; else one that is called class, label or category; else the one with the fewest
    distinct labels, where checkboxes come last and before them one that never changes; ties go to the one
    filled in more often, then by name.
    """
    most = max((use.labels.total() for use in uses.values()), default=0)
    filled = {name: use for name, use in uses.items() if use.labels.total() * _SPARSE > most}
    drawn = {name: use for name, use in filled.items() if name != _SCORE} or filled
    own = {name: use for name, use in drawn.items() if name not in DEMO_ATTRIBUTES} or drawn
    return min(own, key=lambda name: _rank(name, own[name]), default=None)


def describe_attributes(uses: Mapping[str, AttributeUse]) -> str:
    """Return the attributes with their counts, for a message: "class (12 values, 3 distinct)"."""
    described = [
        f"{name} ({use.labels.total()} values, {len(use.labels)} distinct)"
        for name, use in sorted(uses.items())
    ]
    return ", ".join(described) or "none at all"


def _rank(name: str, use: AttributeUse) -> tuple[bool, bool, bool, int, int, str]:
    num_distinct = len(use.labels)
    is_called_so = _CALLED_CLASS.fullmatch(name.strip()) is not None
    return not is_called_so, use.is_checkbox, num_distinct == 1, num_distinct, -use.labels.total(), name


def _is_ticked(tick: Any) -> bool:
    return tick is True or (isinstance(tick, str) and tick.strip().lower() == "true")


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
