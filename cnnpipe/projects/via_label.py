"""Which attribute of some VIA files holds the class, and why that one."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from cnnpipe.errors import DataError
from cnnpipe.formats.via.convert import NUMBERED_OPTIONS
from cnnpipe.formats.via.labelling import LabelText
from cnnpipe.formats.via.labels import (
    AttributeUse,
    attributes_in_use,
    describe_attributes,
    guess_label_attribute,
)
from cnnpipe.formats.via.records import Part, ViaFile
from cnnpipe.formats.via.review import REVIEW_ATTRIBUTE
from cnnpipe.params.load import did_you_mean

_MANY_TIMES: Final = 5  # as many values of another attribute make a guess doubtful
Attributes = Iterable[Mapping[str, Any]]


class ChosenLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The attribute with the class."""

    attribute: str | None  # None: no attribute has a value
    part: Part | None  # what it is an attribute of
    why: str
    others: Mapping[Part, Mapping[str, AttributeUse]]  # attributes with values, the chosen one left out


def choose_label(of_regions: Attributes, of_files: Attributes, label: str | None, where: str) -> ChosenLabel:
    """Return the attribute that is named, else the likeliest: one of regions before one of pictures.

    Args:
        of_regions: attributes of all regions.
        of_files: file attributes of all pictures.
        label: the name of the attribute; None: it is guessed.
        where: the files, for the error.

    Raises:
        DataError: nothing has a value of `label`.
    """
    uses: dict[Part, dict[str, AttributeUse]] = {
        "region": attributes_in_use(of_regions),
        "file": attributes_in_use(
            {name: value for name, value in each.items() if name != REVIEW_ATTRIBUTE} for each in of_files
        ),
    }
    for part, of_part in uses.items():
        if label is not None and label in of_part and of_part[label].labels:
            return _chosen(label, part, "named by --label", uses)
        guessed = guess_label_attribute(of_part) if label is None else None
        if guessed is not None:
            return _chosen(guessed, part, _why(guessed, of_part), uses)
    if label is not None:
        raise _no_label(label, uses, where)
    return _chosen(None, None, "no attribute has a value", uses)


def label_of_files(files: Iterable[tuple[str, ViaFile]], label: str | None) -> ChosenLabel:
    """Return the attribute with the class of files that are read.

    Raises:
        DataError: nothing has a value of `label`.
    """
    files = list(files)
    return choose_label(
        (region.attributes for _, file in files for entry in file.entries for region in entry.regions),
        (entry.file_attributes for _, file in files for entry in file.entries),
        label,
        ", ".join(name for name, _ in files),
    )


def label_text_of(files: Iterable[ViaFile]) -> LabelText:
    """Return how the options of the files are to be called where nobody said.

    By what people see where a program numbered them, as in VIA 3; else by what regions hold.
    """
    return "description" if any(file.kind in NUMBERED_OPTIONS for file in files) else "id"


def _chosen(
    attribute: str | None, part: Part | None, why: str, uses: Mapping[Part, Mapping[str, AttributeUse]]
) -> ChosenLabel:
    others = {
        each: {
            name: use
            for name, use in of_part.items()
            if use.labels and not (name == attribute and each == part)
        }
        for each, of_part in uses.items()
    }
    return ChosenLabel(attribute=attribute, part=part, why=why, others=others)


def _why(attribute: str, uses: Mapping[str, AttributeUse]) -> str:
    number = {name: use.labels.total() for name, use in uses.items() if use.labels}
    if len(number) == 1:
        return "the only one with values"
    most = max(number, key=lambda name: (number[name], name))
    if number[most] >= _MANY_TIMES * number[attribute]:
        return (
            f"guessed, though it has {number[attribute]} values and {most!r} has {number[most]}: "
            f"--label {most!r}?"
        )
    return "guessed by name and values; --label names another"


def _no_label(label: str, uses: Mapping[Part, Mapping[str, AttributeUse]], where: str) -> DataError:
    there = "; ".join(f"{part} attributes: {describe_attributes(of_part)}" for part, of_part in uses.items())
    known = [name for of_part in uses.values() for name in of_part]
    fix = f"{did_you_mean(label, known)}name an attribute with --label; there are {there}"
    return DataError(where, f"no region or picture has a value of {label!r}", fix)
