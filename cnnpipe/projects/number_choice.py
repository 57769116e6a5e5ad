"""Which attribute holds the number that a network is to predict, and which numbers there are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cnnpipe.annotations import LabelledObject, LabelledPicture
from cnnpipe.errors import DataError
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.numbers import NO_VALUE, number_of
from cnnpipe.formats.via.review import SCORE_ATTRIBUTE
from cnnpipe.params.load import did_you_mean
from cnnpipe.stages.validate import Ingested

LABEL: Final = "object"  # of regions that have no class: a number needs none


class NumberChoice(NamedTuple):
    """The attribute, of regions or of files, and why that one."""

    attribute: str
    is_of_regions: bool
    why: str


class _Use(NamedTuple):
    """How an attribute is filled in."""

    num_numbers: int
    num_others: int  # values that are no number


def choose_number(data: Ingested, wanted: str | None, where: str) -> NumberChoice:
    """Return the attribute with the number.

    Args:
        data: what the annotation files hold.
        wanted: the attribute that the user names; None: the only one whose values mostly are numbers, of
            regions before those of files.
        where: the files, for the error.

    Raises:
        DataError: there is no such attribute, or several might be meant.
    """
    of_regions = _uses(region.attributes for region in data.regions)
    of_files = _uses(picture.file_attributes for picture in data.pictures)
    there = f"region attributes: {_described(of_regions)}; file attributes: {_described(of_files)}"
    if wanted is not None:
        for uses, is_of_regions in ((of_regions, True), (of_files, False)):
            if wanted in uses and uses[wanted].num_numbers:
                return NumberChoice(wanted, is_of_regions, "named by --label")
        fix = f"{did_you_mean(wanted, [*of_regions, *of_files])}name it with --label; there are {there}"
        raise DataError(where, f"no region or picture has a number as {wanted!r}", fix)
    for uses, is_of_regions in ((of_regions, True), (of_files, False)):
        numeric = [name for name, use in uses.items() if use.num_numbers > use.num_others]
        if len(numeric) == 1:
            return NumberChoice(numeric[0], is_of_regions, "the only attribute with numbers")
        if numeric:
            what = f"several attributes hold numbers: {', '.join(sorted(numeric))}"
            raise DataError(where, what, "name the one to be predicted with --label")
    raise DataError(where, "no attribute holds numbers", f'write them in VIA as "12.5"; there are {there}')


def numbers_of(
    choice: NumberChoice, objects: Iterable[LabelledObject], pictures: Iterable[LabelledPicture], where: str
) -> list[float]:
    """Return the numbers of all objects, or pictures, that passed the gate, in order.

    Raises:
        DataError: they have none, or all the same.
    """
    held: Sequence[Mapping[str, Any]] = (
        [each.attributes for each in objects]
        if choice.is_of_regions
        else [each.file_attributes for each in pictures]
    )
    found = (number_of(each.get(choice.attribute))[0] for each in held)
    numbers = [number for number in found if number is not None]
    if len(set(numbers)) < 2:
        what = f"{choice.attribute!r} is {numbers[0]:g} everywhere" if numbers else "no number is left"
        raise DataError(where, what, "mend the annotations in VIA: of one number nothing can be learnt")
    return numbers


def _uses(attributes: Iterable[Mapping[str, Any]]) -> dict[str, _Use]:
    numbers: dict[str, list[bool]] = {}
    for each in attributes:
        for name, value in each.items():
            if name != SCORE_ATTRIBUTE and labels_of(value) and number_of(value)[1] != NO_VALUE:
                numbers.setdefault(name, []).append(number_of(value)[1] is None)
    return {name: _Use(sum(are), len(are) - sum(are)) for name, are in numbers.items()}


def _described(uses: Mapping[str, _Use]) -> str:
    told = [
        f"{name} ({use.num_numbers} numbers, {use.num_others} other)" for name, use in sorted(uses.items())
    ]
    return ", ".join(told) or "none at all"
