"""Stage `validate`: the gate. It drops or clips by rule, fails over the limits, and reports."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cnnpipe.annotations import (
    FINDING_CODES,
    Finding,
    LabelledObject,
    LabelledPicture,
    Picture,
    Region,
    Unit,
    in_order,
)
from cnnpipe.datasets.alike_pictures import check_alike
from cnnpipe.datasets.checked_boxes import check_boxes
from cnnpipe.datasets.checked_classes import check_classes, check_tidiness
from cnnpipe.datasets.checked_pictures import check_pictures
from cnnpipe.datasets.checked_regions import check_regions
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.files import read_json, read_jsonl, whole_folder, write_jsonl
from cnnpipe.formats.via.declared_union import DeclaredAttributes
from cnnpipe.formats.via.labelling import Labelling, option_names
from cnnpipe.formats.via.labels import (
    AttributeUse,
    attributes_in_use,
    describe_attributes,
    guess_label_attribute,
)
from cnnpipe.formats.via.numbers import number_of
from cnnpipe.formats.via.records import DeclaredAttribute
from cnnpipe.geometry.shapes import Shape
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.validate import ValidateParams
from cnnpipe.paths import state_dir
from cnnpipe.reports.validation import write_report
from cnnpipe.reports.validation_summary import CodeSummary, Summary, count_classes, summarise_codes

# codes of pictures that are named and cannot be used
CLASS = "class"  # what the attribute is called where there is none
LOST = ("picture-missing", "picture-outside", "picture-ambiguous", "picture-unreadable", "entry-unreadable")

# of no error, and yet reasons why nothing may be left
WHY_NOTHING = ("picture-unchecked", "label-left-out")


class Ingested(msgspec.Struct, frozen=True):
    """What stage `ingest` wrote."""

    pictures: list[Picture]
    regions: list[Region]
    findings: list[Finding]
    declared: DeclaredAttributes = DeclaredAttributes()

    @property
    def num_pictures(self) -> int:
        """Pictures that the annotations name, lost ones included."""
        absent = {f.where for f in self.findings if f.code in (*LOST, "picture-unchecked")}
        return len({picture.image_id for picture in self.pictures} | absent)

    @property
    def num_regions(self) -> int:
        """Regions of pictures that were found, unreadable ones included."""
        return len(self.regions) + sum(f.code == "region-unreadable" for f in self.findings)


class Passed(msgspec.Struct, frozen=True):
    """What passes the gate, and all that is to be said."""

    pictures: list[LabelledPicture]
    objects: list[LabelledObject]
    findings: list[Finding]
    label_attribute: str | None


def validate(ingested: Path, raw_dir: Path, out: Path, params: ValidateParams) -> Counter[str]:
    """Write images.jsonl, objects.jsonl, report.json and report.html to `out`; return counts.

    Where the data is refused, the report is left in the folder of `paths.state_dir`.

    Raises:
        ParamsError: `limits` holds a code that does not exist.
        DataError: an attribute does not exist, nothing with a class or a number is left, or a limit is
            exceeded.
    """
    _check_codes(params.limits)
    data = Ingested(
        pictures=read_jsonl(ingested / "images.jsonl", Picture),
        regions=read_jsonl(ingested / "annotations.jsonl", Region),
        findings=read_jsonl(ingested / "findings.jsonl", Finding),
        declared=read_json(ingested / "attributes.json", DeclaredAttributes),
    )
    passed = check_records(data, params, str(ingested))
    summary = _summarise(data, passed, params)
    faults = _faults(summary, passed.pictures)
    if faults:
        refused = state_dir() / "validate"
        with whole_folder(refused) as folder:
            write_report(folder, summary, data.pictures, _shapes(data.regions), raw_dir)
        fix = f"mend the data in VIA, or change validate in params.yaml; see {refused / 'report.html'}"
        raise DataError(str(ingested), "; ".join(faults), fix)
    shutil.rmtree(state_dir() / "validate", ignore_errors=True)  # of an earlier refusal
    with whole_folder(out) as folder:
        write_jsonl(folder / "images.jsonl", passed.pictures)
        write_jsonl(folder / "objects.jsonl", passed.objects)
        write_report(folder, summary, data.pictures, _shapes(data.regions), raw_dir)
    return _count(summary)


def check_records(data: Ingested, params: ValidateParams, where: str) -> Passed:
    """Return what passes the gate and all that is to be said, whatever the limits.

    Raises:
        DataError: an attribute of `params` does not exist in the data, which is called `where`.
    """
    attribute = _label_attribute(data.regions, params, where)
    image_attribute = _image_label_attribute(data.pictures, params, where)
    by_id = {picture.image_id: picture for picture in data.pictures}
    of_regions = _labelling(attribute, data.declared.region, params)
    of_regions = msgspec.structs.replace(of_regions, default=params.default_label)
    objects, region_findings = check_regions(data.regions, by_id, labelling=of_regions, params=params)
    annotated = {region.image_id for region in data.regions}
    of_pictures = _labelling(image_attribute, data.declared.file, params)  # whose class has no default
    pictures, picture_findings = check_pictures(data.pictures, annotated, of_pictures, params)
    findings = [
        *data.findings,
        *region_findings,
        *picture_findings,
        *check_boxes(objects, by_id, params),
        *check_alike(data.pictures, bits=params.near_duplicate_bits),
        *check_classes(pictures, objects, most_uneven=params.imbalance_ratio),
        *check_tidiness(((r.image_id, r.attributes) for r in data.regions), attribute, of="regions"),
        *check_tidiness(
            ((p.image_id, p.file_attributes) for p in data.pictures), image_attribute, of="pictures"
        ),
    ]
    return Passed(pictures, objects, in_order(findings), attribute)


def _check_codes(limits: Mapping[str, float]) -> None:
    known = [code for code, (_, unit) in FINDING_CODES.items() if unit != "set"]
    unknown = [code for code in limits if code not in known]
    if unknown:
        what = "; ".join(f"validate.limits.{code} is not a known code" for code in unknown)
        fix = f"{did_you_mean(unknown[0], known)}the codes are: {', '.join(sorted(known))}"
        raise ParamsError("params.yaml", what, fix)


def _label_attribute(regions: Sequence[Region], params: ValidateParams, where: str) -> str | None:
    """Return the attribute with the class; None only where no region has one and none needs one.

    Raises:
        DataError: the attribute does not exist, or there is none to guess.
    """
    wanted = params.label_attribute
    uses = attributes_in_use(region.attributes for region in regions)
    if wanted != "auto" and wanted in uses:
        return wanted
    guessed = guess_label_attribute(uses)
    if params.default_label is not None and (guessed is None or wanted != "auto"):
        return (
            CLASS if wanted == "auto" else wanted
        )  # its name is wanted where a network's labels are written
    is_needed = bool(regions) and (wanted != "auto" or params.image_label_attribute is None)
    if not is_needed or (wanted == "auto" and guessed is not None):
        return guessed
    what = (
        "no region attribute has a value" if wanted == "auto" else f"no region has the attribute {wanted!r}"
    )
    raise _no_attribute(what, "validate.label_attribute", wanted, uses, where)


def _image_label_attribute(pictures: Sequence[Picture], params: ValidateParams, where: str) -> str | None:
    """Return the file attribute with the class of whole pictures; None: there is none.

    Raises:
        DataError: no picture has it.
    """
    attribute = params.image_label_attribute
    uses = attributes_in_use(picture.file_attributes for picture in pictures)
    if attribute is not None and pictures and attribute not in uses:
        what = f"no picture has the file attribute {attribute!r}"
        raise _no_attribute(what, "validate.image_label_attribute (null: none)", attribute, uses, where)
    return attribute


def _labelling(
    attribute: str | None, declared: Mapping[str, DeclaredAttribute], params: ValidateParams
) -> Labelling:
    names = option_names(declared.get(attribute or ""), params.label_text)
    return Labelling(attribute=attribute, names=names, mapping=params.label_map)


def _no_attribute(
    what: str, key: str, wanted: str, uses: Mapping[str, AttributeUse], where: str
) -> DataError:
    there = f"the attributes are: {describe_attributes(uses)}"
    return DataError(where, what, f"{did_you_mean(wanted, uses)}set {key} in params.yaml; {there}")


def _summarise(data: Ingested, passed: Passed, params: ValidateParams) -> Summary:
    totals: dict[Unit, int] = {"picture": data.num_pictures, "region": data.num_regions}
    labels = Counter(picture.label for picture in passed.pictures if picture.label is not None)
    return Summary(
        counts={
            "pictures named": data.num_pictures,
            "pictures": len(passed.pictures),
            "regions": data.num_regions,
            "objects": len(passed.objects),
        },
        decisions=_decisions(params, passed.label_attribute),
        classes=count_classes(passed.objects),
        image_classes=dict(sorted(labels.items())),
        findings=summarise_codes(passed.findings, params.limits, totals),
    )


def _decisions(params: ValidateParams, attribute: str | None) -> dict[str, Any]:
    return {
        "label_attribute": attribute,
        "label_attribute_was_guessed": params.label_attribute == "auto",
        "image_label_attribute": params.image_label_attribute,
        "label_text": params.label_text,
        "label_map": params.label_map,
        "default_label": params.default_label,
        "several_labels": params.several_labels,
        "without_regions": params.without_regions,
        "polyline_as_outline": params.polyline_as_outline,
        "min_side_px": params.min_side_px,
    }


def _faults(summary: Summary, pictures: Iterable[LabelledPicture]) -> list[str]:
    """Return why the data is refused, each fault in one clause; none where it is accepted."""
    faults = [_describe_excess(code, summary.counts) for code in summary.findings if code.is_over]
    if not summary.classes and not summary.image_classes and not _has_number(pictures):
        lost = [
            f"{code.count} {code.code}"
            for code in summary.findings
            if (code.severity == "error" or code.code in WHY_NOTHING) and code.count
        ]
        why = f" ({', '.join(lost)})" if lost else ""
        faults.append(f"no object with a class is left of {summary.counts['regions']} regions{why}")
    return faults


def _has_number(pictures: Iterable[LabelledPicture]) -> bool:
    """Whether a picture has a number as file attribute: it may be what a network is to predict."""
    return any(number_of(value)[1] is None for each in pictures for value in each.file_attributes.values())


def _describe_excess(code: CodeSummary, counts: Mapping[str, int]) -> str:
    total = counts["pictures named" if code.unit == "picture" else "regions"]
    places = [
        finding.where if finding.region is None else f"{finding.where} region {finding.region}"
        for finding in code.places[:3]
    ]
    share = f"{code.count} of {total} {code.unit}s ({100 * (code.share or 0):.1f} %)"
    return f"{code.code}: {share}, the limit is {100 * (code.limit or 0):.1f} %; first: {', '.join(places)}"


def _shapes(regions: Iterable[Region]) -> dict[tuple[str, int], Shape | None]:
    return {(region.image_id, region.region): region.shape for region in regions}


def _count(summary: Summary) -> Counter[str]:
    attribute = summary.decisions["label_attribute"]
    guessed = ", guessed" if summary.decisions["label_attribute_was_guessed"] else ""
    counts = Counter({name: summary.counts[name] for name in ("pictures", "objects")})
    if attribute is not None:
        counts[f"classes ({attribute}{guessed})"] = len(summary.classes)
    return counts + Counter({code.code: code.count for code in summary.findings})
