"""What `cnnpipe via check` found, as its JSON, its text and its page tell it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from cnnpipe.annotations import FINDING_CODES, SEVERITIES, Finding, Severity
from cnnpipe.reports.validation_summary import count_places

MOST_PLACES: Final = 200  # of one code that are told one by one

# The gate's findings name parameters of a project; these are the words of the command.
_WORDS: Final = (
    (
        "has no region, so it shows no object (validate.without_regions)",
        "has no region: no object, or not yet annotated",
    ),
    ("below ingest.images_dir", "below the folder of --images"),
    ("ingest.images_dir", "the folder of --images"),
    ("ingest.raw_dir", "the folder of --images"),
    ("validate.label_map in params.yaml", "--labels map.yaml"),
    ("validate.label_map", "--labels map.yaml"),
    ("validate.default_label", "--default-label"),
    # what a project has a parameter for, and the command has none
    (", or lower validate.min_side_px", ""),
    (", or set validate.several_labels: one_object_each", ""),
    (", or set validate.polyline_as_outline", ""),
    (", or raise ingest.max_pixels in params.yaml", ""),
)


class FileError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file, or all of them, are refused."""

    where: str
    what: str
    fix: str


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file; the numbers are as the file holds them."""

    file: str
    kind: str | None
    version: str | None
    images: int
    regions: int
    error: FileError | None = None
    repeats: str | None = None  # the file before it that has the same bytes


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one thing was found."""

    file: str | None
    image: str | None
    region: int | None  # its number in that file, from 0
    what: str


class CodeFindings(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one code."""

    code: str
    severity: Severity
    count: int  # regions, or pictures: each once, whatever is said of it
    what: str  # as it is said of the first place
    fix: str
    places: Sequence[Place]  # the first ones
    more: int  # places that are not told


class ClassCount(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of one class in the files, whether or not it can be used."""

    regions: int
    images: int


class LabelTold(msgspec.Struct, frozen=True, kw_only=True):
    """The attribute with the class, why that one, and which others there are."""

    attribute: str | None
    of: str | None  # region or file
    why: str
    others: Mapping[str, Sequence[str]]  # the attributes with values, by what they belong to, described


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """All that is to be said."""

    files: Sequence[CheckedFile]
    kind: str | None
    version: str | None
    images: int
    regions: int
    images_dir: str | None
    are_sized: bool  # all pictures: measured, or their sizes are stated by the files
    label: LabelTold
    classes: Mapping[str, ClassCount]
    findings: Sequence[CodeFindings]
    suggested_labels: Mapping[str, str]
    error: FileError | None

    @property
    def num_errors(self) -> int:
        """Findings that leave something out."""
        return sum(each.count for each in self.findings if each.severity == "error")


def summarise(findings: Iterable[Finding], place_of: Callable[[Finding], Place]) -> list[CodeFindings]:
    """Return the findings by code: errors first, and of one severity in the order of FINDING_CODES.

    Args:
        findings: all there are.
        place_of: where the user finds one; asked for those that are told.
    """
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    summaries = [_summarise(code, by_code[code], place_of) for code in FINDING_CODES if code in by_code]
    return sorted(summaries, key=lambda each: SEVERITIES.index(each.severity))


def in_words_of_the_command(text: str) -> str:
    """Return what a finding says without the names of parameters that a lone file does not have."""
    for word, replacement in _WORDS:
        text = text.replace(word, replacement)
    return text


def _summarise(code: str, findings: Sequence[Finding], place_of: Callable[[Finding], Place]) -> CodeFindings:
    severity, unit = FINDING_CODES[code]
    places = [place_of(each) for each in findings[:MOST_PLACES]]
    return CodeFindings(
        code=code,
        severity=severity,
        count=count_places(findings, unit),
        what=places[0].what,
        fix=in_words_of_the_command(findings[0].fix),
        places=places,
        more=max(len(findings) - MOST_PLACES, 0),
    )
