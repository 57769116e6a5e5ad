"""Look over VIA files by the rules of the stages `ingest` and `validate`, with their pictures or without."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.annotations import Finding, Picture, found
from cnnpipe.errors import CnnpipeError, DataError
from cnnpipe.formats.via.labelling import Labelling, LabelText, labels_by, option_names
from cnnpipe.formats.via.labels import describe_attributes
from cnnpipe.formats.via.spelling import near_spellings
from cnnpipe.geometry.shapes import Shape
from cnnpipe.params.validate import ValidateParams
from cnnpipe.projects.gate import usual_gate
from cnnpipe.projects.via_check_records import UNBOUNDED, make_records
from cnnpipe.projects.via_files import ReadFile, one_or_mixed, read_each, shown
from cnnpipe.projects.via_label import ChosenLabel, choose_label, label_text_of
from cnnpipe.projects.via_places import Places
from cnnpipe.reports.via_check_summary import (
    Checked,
    CheckedFile,
    ClassCount,
    FileError,
    LabelTold,
    Place,
    in_words_of_the_command,
    summarise,
)
from cnnpipe.stages.validate import Ingested, check_records

_STAND_IN: Final = "\0"  # an attribute where none has a value: VIA lets nobody type such a name
_OF_CLASSES: Final = ("label-spelling", "label-untidy", "class-imbalance", "class-rare")
_SAY_WHY_EMPTY: Final = ("file-empty", "media-left-out")
_LABEL_FIX: Final = "give the region its class in VIA, or name one for all of them: --default-label"


class CheckRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked over, and how the class is told."""

    paths: Sequence[Path]
    images_dir: Path | None = None
    label: str | None = None
    label_map: Mapping[str, str | None] = {}
    label_text: LabelText | None = None  # None: as `label_text_of` says
    default_label: str | None = None  # class of a region that says none; None: it has none


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and what a page needs to show it."""

    checked: Checked
    findings: Sequence[Finding] = ()
    pictures: Mapping[str, Picture] = {}
    shapes: Mapping[tuple[str, int], Shape | None] = {}  # by image_id and number of region
    places: Places = Places([], {})

    def place_of(self, finding: Finding) -> Place:
        """Return where the user finds it, and what it says in the words of the command."""
        return self.places.place_of(finding, in_words_of_the_command(finding.what))


def examine(request: CheckRequest) -> Examined:
    """Return what is to be said of the files; why one of them, or all, are refused is in `checked.error`."""
    read = read_each(request.paths)
    own = _first_of_each(read)
    told = _tell_files(read, own, request)
    if request.label_text is None:
        text = label_text_of(each.contents for each in own)
        request = msgspec.structs.replace(request, label_text=text)
    try:
        records = make_records(own, request.images_dir)
        label = _choose(records.data, request, ", ".join(each.name for each in read))
    except DataError as error:
        return Examined(checked=msgspec.structs.replace(told, error=file_error(error)))
    data = msgspec.structs.replace(records.data, findings=[*records.data.findings, *_about_files(read, own)])
    findings = [_without_bounds(each) for each in _check(data, label, request)]
    classes = _count_classes(data, label, request)
    places = records.places
    checked = msgspec.structs.replace(
        told,
        label=_tell_label(label),
        are_sized=bool(data.pictures) and all(picture.width != UNBOUNDED for picture in data.pictures),
        classes=classes,
        findings=summarise(findings, lambda each: places.place_of(each, in_words_of_the_command(each.what))),
        suggested_labels=suggest_labels(classes),
    )
    return Examined(
        checked=checked,
        findings=findings,
        pictures={picture.image_id: picture for picture in data.pictures},
        shapes={(region.image_id, region.region): region.shape for region in data.regions},
        places=places,
    )


def suggest_labels(classes: Mapping[str, ClassCount]) -> dict[str, str]:
    """Return what each rarer spelling likely means: the most frequent of those that are near to it."""
    weight = {label: (count.regions, count.images) for label, count in classes.items()}
    better: dict[str, set[str]] = defaultdict(set)
    for one, other in near_spellings(classes):
        rare, common = sorted((one, other), key=lambda label: (weight[label], label))
        better[rare].add(common)
    meant = {rare: max(commons, key=lambda label: (weight[label], label)) for rare, commons in better.items()}
    return {rare: _last(rare, meant) for rare in sorted(meant)}


def file_error(error: CnnpipeError) -> FileError:
    """Return an error as part of what is printed."""
    return FileError(where=error.where, what=error.what, fix=error.fix)


def _last(label: str, meant: Mapping[str, str]) -> str:
    while label in meant:  # each step leads to a more frequent one, so it ends
        label = meant[label]
    return label


def _first_of_each(read: Iterable[ReadFile]) -> list[ReadFile]:
    """Return the files that can be read, of the same bytes the first."""
    first: dict[str, ReadFile] = {}
    for each in read:
        if each.file is not None:
            first.setdefault(each.digest, each)
    return list(first.values())


def _repeats(each: ReadFile, own: Sequence[ReadFile]) -> str | None:
    first = next((other for other in own if other.digest == each.digest), each)
    return None if first is each else first.name


def _about_files(read: Sequence[ReadFile], own: Sequence[ReadFile]) -> list[Finding]:
    """Notice files that are given twice, and those without a picture."""
    repeats = [(each.name, _repeats(each, own)) for each in read]
    repeated = [
        found("file-repeated", name, f"the same bytes as {first}; taken once", "name it once")
        for name, first in repeats
        if first is not None
    ]
    empty = [
        found("file-empty", each.name, "names no picture", "add pictures in VIA, or leave the file out")
        for each in own
        if not each.contents.num_images
        and all(finding.code not in _SAY_WHY_EMPTY for finding in each.contents.findings)
    ]
    return [*repeated, *empty]


def _tell_files(read: Sequence[ReadFile], own: Sequence[ReadFile], request: CheckRequest) -> Checked:
    """Return what is to be said before anything is checked."""
    contents = [each.contents for each in own]
    refusal = next((each.error for each in read if each.error is not None), None)
    return Checked(
        files=[_describe(each, own) for each in read],
        kind=one_or_mixed([file.kind for file in contents]),
        version=one_or_mixed([file.version for file in contents]),
        images=sum(file.num_images for file in contents),
        regions=sum(file.num_regions for file in contents),
        images_dir=None if request.images_dir is None else shown(request.images_dir),
        are_sized=False,
        label=LabelTold(attribute=None, of=None, why="not looked for", others={}),
        classes={},
        findings=[],
        suggested_labels={},
        error=None if refusal is None else file_error(refusal),
    )


def _describe(each: ReadFile, own: Sequence[ReadFile]) -> CheckedFile:
    if each.error is not None:
        error = file_error(each.error)
        return CheckedFile(file=each.name, kind=None, version=None, images=0, regions=0, error=error)
    file = each.contents
    return CheckedFile(
        file=each.name,
        kind=file.kind,
        version=file.version,
        images=file.num_images,
        regions=file.num_regions,
        repeats=_repeats(each, own),
    )


def _choose(data: Ingested, request: CheckRequest, where: str) -> ChosenLabel:
    return choose_label(
        [region.attributes for region in data.regions],
        [picture.file_attributes for picture in data.pictures],
        request.label,
        where,
    )


def _check(data: Ingested, label: ChosenLabel, request: CheckRequest) -> list[Finding]:
    where = "the files"
    if label.attribute is not None or request.default_label is not None or not data.regions:
        return check_records(data, gate(label, request), where).findings
    # no region has a class: their shapes are looked at as if all had one
    regions = [msgspec.structs.replace(each, attributes={_STAND_IN: "region"}) for each in data.regions]
    stand_in = msgspec.structs.replace(label, attribute=_STAND_IN, part="region")
    passed = check_records(msgspec.structs.replace(data, regions=regions), gate(stand_in, request), where)
    missing = [
        found("label-missing", each.image_id, "no attribute has a value", _LABEL_FIX, region=each.region)
        for each in data.regions
    ]
    return [each for each in passed.findings if each.code not in _OF_CLASSES] + missing


def gate(label: ChosenLabel, request: CheckRequest) -> ValidateParams:
    """Return the rules: those of params.yaml, with no limits."""
    part = "image_label_attribute" if label.part == "file" else "label_attribute"
    return usual_gate(
        **{part: label.attribute or "auto"},
        label_text=request.label_text or "id",
        label_map=dict(request.label_map),
        default_label=request.default_label,
        without_regions="negative",
    )


def _without_bounds(finding: Finding) -> Finding:
    """Return the finding without the size of a picture that nobody knows."""
    unknown = f" of {UNBOUNDED} x {UNBOUNDED} pixels"
    return msgspec.structs.replace(finding, what=finding.what.replace(unknown, ""))


def _count_classes(data: Ingested, label: ChosenLabel, request: CheckRequest) -> dict[str, ClassCount]:
    """Return how much there is of each class in the files, usable or not; the most frequent first."""
    is_of_regions = label.part == "region" or request.default_label is not None
    declared = data.declared.region if is_of_regions else data.declared.file
    names = option_names(declared.get(label.attribute or ""), request.label_text or "id")
    labelling = Labelling(attribute=label.attribute, names=names, mapping=request.label_map)
    if is_of_regions:
        labelling = msgspec.structs.replace(labelling, default=request.default_label)
    num_regions: Counter[str] = Counter()
    images: dict[str, set[str]] = defaultdict(set)
    holders = (
        [(region.image_id, region.attributes) for region in data.regions]
        if is_of_regions
        else [(picture.image_id, picture.file_attributes) for picture in data.pictures]
    )
    for image_id, attributes in holders:
        for each in labels_by(labelling, attributes):
            num_regions[each] += is_of_regions
            images[each].add(image_id)
    ranked = sorted(images, key=lambda each: (-num_regions[each], -len(images[each]), each))
    return {each: ClassCount(regions=num_regions[each], images=len(images[each])) for each in ranked}


def _tell_label(label: ChosenLabel) -> LabelTold:
    return LabelTold(
        attribute=label.attribute,
        of=label.part,
        why=label.why,
        others={
            part: [describe_attributes({name: use}) for name, use in uses.items()]
            for part, uses in label.others.items()
        },
    )
