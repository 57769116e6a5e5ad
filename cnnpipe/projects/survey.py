"""What a new project would be made of, counted before a file is written: pictures by their headers only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from cnnpipe.annotations import Finding, LabelledObject, LabelledPicture, Picture, found
from cnnpipe.errors import DataError
from cnnpipe.formats.pictures import read_header
from cnnpipe.formats.via.declared_union import DeclaredAttributes, unite_declared
from cnnpipe.formats.via.labelling import LabelText, option_names
from cnnpipe.formats.via.labels import (
    AttributeUse,
    attributes_in_use,
    describe_attributes,
    guess_label_attribute,
)
from cnnpipe.formats.via.merge import by_picture, merge_entries, set_unchecked_aside
from cnnpipe.formats.via.review import REVIEW_ATTRIBUTE
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.validate import ValidateParams
from cnnpipe.projects.gate import usual_gate
from cnnpipe.projects.number_choice import LABEL, NumberChoice, choose_number, numbers_of
from cnnpipe.projects.originals import Originals
from cnnpipe.projects.via_label import label_text_of
from cnnpipe.stages.validate import CLASS, LOST, WHY_NOTHING, Ingested, check_records

Task = Literal["classify", "detect", "regress"]
WithoutRegions = Literal["negative", "unannotated"]
FEWEST_PICTURES = 3  # one for each of train, val and test


class LabelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which attribute holds the class, or of task regress the number, and why that one."""

    attribute: str
    source: Literal["objects", "pictures"]  # a region attribute, or a file attribute
    why: str


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says of the data, as far as it is not left to the data."""

    task: Task
    label: str | None = None  # the attribute with the class or number; None: guess
    label_map: Mapping[str, str | None] = {}
    label_text: LabelText | None = None  # None: as `label_text_of` says
    default_label: str | None = None  # class of a region that says none; None: it is left out
    without_regions: WithoutRegions | None = None  # None: by how many pictures have none


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What stage `validate` would let pass, and what it would say."""

    task: Task
    label: LabelChoice
    gate: ValidateParams  # by which it was let pass
    bare_why: str  # why gate.without_regions is what it is
    described: Mapping[str, str]  # options that are numbers to their descriptions, where those would say more
    num_named: int  # pictures that the annotation files name, lost ones included
    num_regions: int
    pictures: Sequence[LabelledPicture]
    objects: Sequence[LabelledObject]
    findings: Sequence[Finding]
    numbers: Sequence[float] = ()  # of task regress


def survey(originals: Originals, wishes: Wishes) -> Survey:
    """Return what the annotation files hold for `wishes.task`.

    Args:
        originals: the files and the pictures they name.
        wishes: what is to be learnt, and from what.

    Raises:
        DataError: no such attribute, no class, no picture, or most pictures are lost.
    """
    where = ", ".join(str(annotations.path) for annotations in originals.annotations)
    data = _read(originals)
    _refuse_lost(data, where)
    number = choose_number(data, wishes.label, where) if wishes.task == "regress" else None
    choice = _choose_label(data, wishes, where) if number is None else _choice_of(number)
    without_regions, bare_why = _choose_bare(data, wishes.without_regions)
    text = wishes.label_text or label_text_of(annotations.file for annotations in originals.annotations)
    gate = _gate(choice, wishes, text, without_regions)
    passed = check_records(data, gate, where)
    numbers = [] if number is None else numbers_of(number, passed.objects, passed.pictures, where)
    result = Survey(
        task=wishes.task,
        label=choice,
        gate=gate,
        bare_why=bare_why,
        described=_described(data.declared, choice, text),
        num_named=data.num_pictures,
        num_regions=data.num_regions,
        pictures=passed.pictures,
        objects=passed.objects,
        findings=passed.findings,
        numbers=numbers,
    )
    if number is not None:
        return result
    if not (result.objects if choice.source == "objects" else _labelled(result.pictures)):
        what = f"no {'object' if choice.source == 'objects' else 'picture'} with a class is left"
        raise DataError(where, f"{what}{_reasons(passed.findings)}", "mend the annotations in VIA")
    if wishes.task == "classify":
        _refuse_single_class(result, where)
    return result


def _refuse_single_class(survey: Survey, where: str) -> None:
    of_objects = survey.label.source == "objects"
    judged = survey.objects if of_objects else _labelled(survey.pictures)
    labels = {str(each.label) for each in judged}
    if len(labels) == 1:
        fix = "annotate a second class, or name another attribute with --label"
        fix += "; --task detect is content with one" if of_objects else ""
        raise DataError(where, f"the only class is {min(labels)!r}; a classifier needs two", fix)


def _read(originals: Originals) -> Ingested:
    """Return the records that stage `ingest` would write, from the headers of the pictures."""
    named, unchecked = set_unchecked_aside(originals.named)
    declared, conflicts = unite_declared((str(a.path), a.file.attributes) for a in originals.annotations)
    findings = [*originals.findings, *conflicts, *unchecked]
    pictures, regions = [], []
    for image_id, entries in sorted(by_picture(named).items()):
        picture = _read_picture(originals.images_dir, image_id)
        if isinstance(picture, Finding):
            findings.append(picture)
            continue
        merged, its_regions, noticed = merge_entries(picture, entries)
        pictures.append(merged)
        regions += its_regions
        findings += noticed
    return Ingested(pictures=pictures, regions=regions, findings=findings, declared=declared)


def _read_picture(images_dir: Path, image_id: str) -> Picture | Finding:
    path = images_dir / image_id
    try:
        header = read_header(path)
    except DataError as error:
        return found("picture-unreadable", image_id, error.what, error.fix)
    return Picture(
        image_id=image_id,
        width=header.width,
        height=header.height,
        mode=header.mode,
        exif_orientation=header.exif_orientation,
        size_bytes=path.stat().st_size,
        # the pixels are not read, so no picture is known to be another's duplicate
        sha256=image_id,
        perceptual_hash="",
        file_attributes={},
    )


def _refuse_lost(data: Ingested, where: str) -> None:
    if not data.num_pictures:
        raise DataError(where, "names no picture at all", "add pictures in VIA, and export again")
    found_pictures = len(data.pictures)
    lost = {finding.where for finding in data.findings if finding.code in LOST}
    if not found_pictures or 2 * len(lost) > data.num_pictures:
        what = f"of {data.num_pictures} pictures named, {found_pictures} can be used"
        fix = "name the folder that holds the pictures with --images, or mend the file names"
        raise DataError(where, f"{what}{_reasons(data.findings)}", fix)
    if found_pictures < FEWEST_PICTURES:
        what = f"{found_pictures} pictures are too few: train, val and test need one each"
        raise DataError(where, what, "annotate more pictures")


def _reasons(findings: Sequence[Finding]) -> str:
    """Return the first few things that are wrong, for a message: " (picture-missing: a.jpg …)"."""
    told = [f for f in findings if f.severity == "error" or f.code in WHY_NOTHING]
    counts: dict[str, list[str]] = {}
    for finding in told:
        counts.setdefault(finding.code, []).append(finding.where.split(": ", 1)[-1])  # without its file
    return "".join(f"; {code}: {len(places)}, first {places[0]}" for code, places in counts.items())


def _choose_label(data: Ingested, wishes: Wishes, where: str) -> LabelChoice:
    task, label = wishes.task, wishes.label
    of_regions = attributes_in_use(region.attributes for region in data.regions)
    of_files = attributes_in_use(
        {name: value for name, value in picture.file_attributes.items() if name != REVIEW_ATTRIBUTE}
        for picture in data.pictures
    )
    if label is not None:
        return _named_label(label, task, of_regions, of_files, where)
    guessed = guess_label_attribute(of_regions)
    if guessed is not None:
        return LabelChoice(attribute=guessed, source="objects", why=_why(guessed, of_regions))
    guessed = guess_label_attribute(of_files)
    if task == "classify" and guessed is not None:
        return LabelChoice(attribute=guessed, source="pictures", why=_why(guessed, of_files))
    if wishes.default_label is not None and data.regions:
        return LabelChoice(attribute=CLASS, source="objects", why="no attribute holds one; see default_label")
    raise _no_label(task, None, of_regions, of_files, where)


def _choice_of(number: NumberChoice) -> LabelChoice:
    source: Literal["objects", "pictures"] = "objects" if number.is_of_regions else "pictures"
    return LabelChoice(attribute=number.attribute, source=source, why=number.why)


def _named_label(
    label: str,
    task: Task,
    of_regions: Mapping[str, AttributeUse],
    of_files: Mapping[str, AttributeUse],
    where: str,
) -> LabelChoice:
    if label in of_regions and of_regions[label].labels:
        return LabelChoice(attribute=label, source="objects", why="named by --label")
    if task == "classify" and label in of_files and of_files[label].labels:
        return LabelChoice(attribute=label, source="pictures", why="named by --label")
    raise _no_label(task, label, of_regions, of_files, where)


def _why(attribute: str, uses: Mapping[str, AttributeUse]) -> str:
    others = sorted(name for name, use in uses.items() if use.labels and name != attribute)
    if not others:
        return "the only attribute with values"
    return f"guessed; the others are: {', '.join(others)}"


def _no_label(
    task: Task,
    label: str | None,
    of_regions: Mapping[str, AttributeUse],
    of_files: Mapping[str, AttributeUse],
    where: str,
) -> DataError:
    there = f"region attributes: {describe_attributes(of_regions)}"
    known = list(of_regions)
    if task == "classify":
        there += f"; file attributes: {describe_attributes(of_files)}"
        known += of_files
    if label is None:
        fix = "give the regions their class in VIA, or name one for all of them with --default-label"
        fix += f"; there are {there}"
        return DataError(where, "no attribute holds a class", fix)
    wanted = "region" if task == "detect" else "region or picture"
    fix = f"{did_you_mean(label, known)}name it with --label; there are {there}"
    return DataError(where, f"no {wanted} has a value of {label!r}", fix)


def _choose_bare(data: Ingested, wanted: WithoutRegions | None) -> tuple[WithoutRegions, str]:
    """Return what a picture without regions means, and why: where most have none, they are yet to do."""
    annotated = {region.image_id for region in data.regions}
    number = sum(picture.image_id not in annotated for picture in data.pictures)
    told = f"{number} of {len(data.pictures)} pictures have no region"
    if wanted is not None:
        return wanted, f"{told}; named by --without-regions"
    if 2 * number <= len(data.pictures):
        return "negative", f"{told}: true where they show no object"
    return "unannotated", f"{told}: rather not yet annotated; negative, if they show no object"


def _described(declared: DeclaredAttributes, choice: LabelChoice, text: LabelText) -> dict[str, str]:
    """Return what the options with numbers for ids are called, where ids are the classes; none otherwise."""
    of_part = declared.region if choice.source == "objects" else declared.file
    names = option_names(of_part.get(choice.attribute), "description")
    is_better = all(option.isdecimal() and not name.isdecimal() for option, name in names.items())
    return names if text == "id" and is_better else {}


def _gate(
    choice: LabelChoice, wishes: Wishes, text: LabelText, without_regions: WithoutRegions
) -> ValidateParams:
    """Return section `validate` of the new project but its limits; the template says the same."""
    part = "label_attribute" if choice.source == "objects" else "image_label_attribute"
    attribute, default_label = choice.attribute, wishes.default_label
    if wishes.task == "regress":  # the number is no class, and a region without one is wanted, too
        part, attribute, default_label = "label_attribute", CLASS, default_label or LABEL
    return usual_gate(
        **{part: attribute},
        label_text=text,
        label_map=dict(wishes.label_map),
        default_label=default_label,
        without_regions=without_regions,
    )


def _labelled(pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    return [picture for picture in pictures if picture.label is not None]
