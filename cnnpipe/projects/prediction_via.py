"""Predictions as a VIA 2 project, to be looked over by hand and taken in again."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cnnpipe.evaluation.predictions import Detection
from cnnpipe.files import write_bytes
from cnnpipe.formats.via.numbers import text_of
from cnnpipe.formats.via.records import DeclaredAttribute, ViaEntry, ViaFile, ViaRegion
from cnnpipe.formats.via.review import CHECKED, REVIEW_ATTRIBUTE, SCORE_ATTRIBUTE, UNCHECKED
from cnnpipe.formats.via.write_project import write_project
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Rect
from cnnpipe.models.bundle import ModelSpec
from cnnpipe.projects.prediction_records import PicturePrediction

_REVIEW: Final = {
    REVIEW_ATTRIBUTE: DeclaredAttribute(
        type="radio",
        description="Look over the picture: correct, add and delete regions. Then choose: checked",
        options={
            UNCHECKED: "machine: as the network left it; counts for nothing",
            CHECKED: "checked: a person looked it over; counts as truth",
        },
    )
}
_SCORE: Final = DeclaredAttribute(type="text", description="how sure the network was, 0 to 1", options={})


def write_predictions(
    path: Path, predictions: Iterable[PicturePrediction], spec: ModelSpec, *, root: Path, name: str
) -> None:
    """Write a project with one region per detection; pictures that could not be read are left out.

    Of a classifier or a regressor, a picture has one region all over it where the model learnt objects, and
    none where it learnt whole pictures: then its class, or its number as text, is a file attribute.

    Args:
        path: the project; written whole.
        predictions: the lines of predictions.jsonl.
        spec: the model; its `label_attribute` holds the classes, or the number.
        root: the folder of the pictures, absolute: VIA shows them without a question.
        name: what VIA calls the project.
    """
    is_of_pictures = _is_of_pictures(spec)
    of_regions = {} if is_of_pictures else _declared(spec, {} if spec.target else {SCORE_ATTRIBUTE: _SCORE})
    entries = tuple(_entries(predictions, spec))
    file = ViaFile(
        kind="project-json",
        version="2",
        entries=entries,
        attributes={
            "region": of_regions,
            "file": _declared(spec, _REVIEW) if is_of_pictures else _REVIEW,
        },
        image_order=tuple(entry.key for entry in entries),
        findings=(),
        num_images=len(entries),
        num_regions=sum(len(entry.regions) for entry in entries),
        settings={"ui": _labelled_by(next(iter(of_regions), None))},
    )
    content, _ = write_project(file, default_filepath=f"{root}/", name=name)  # holds all of it
    write_bytes(path, content)


def _declared(spec: ModelSpec, others: Mapping[str, DeclaredAttribute]) -> dict[str, DeclaredAttribute]:
    """Return the attribute of the class or number, which VIA shows first, and others of another name."""
    if spec.target is not None:
        number = DeclaredAttribute(type="text", description="a number", options={})
        return {spec.label_attribute: number} | {**others, spec.label_attribute: number}
    options = {label: label for label in spec.classes}
    label = DeclaredAttribute(type="dropdown", description="the class", options=options)
    return {spec.label_attribute: label} | {**others, spec.label_attribute: label}


def _labelled_by(attribute: str | None) -> dict[str, Any]:
    return {} if attribute is None else {"image": {"region_label": attribute, "region_color": attribute}}


def _is_of_pictures(spec: ModelSpec) -> bool:
    return spec.task != "detect" and spec.source == "pictures"


def _entries(predictions: Iterable[PicturePrediction], spec: ModelSpec) -> Iterator[ViaEntry]:
    for each in predictions:
        if each.error is None:
            yield ViaEntry(
                key=f"{each.picture}{-1 if each.size_bytes is None else each.size_bytes}",
                filename=each.picture,
                size_bytes=each.size_bytes,
                regions=() if _is_of_pictures(spec) else tuple(_regions(each, spec)),
                file_attributes=_file_attributes(each, spec),
                findings=(),
            )


def _file_attributes(each: PicturePrediction, spec: ModelSpec) -> dict[str, Any]:
    label = {spec.label_attribute: each.label or _number_of(each)} if _is_of_pictures(spec) else {}
    return {**label, REVIEW_ATTRIBUTE: UNCHECKED}


def _regions(each: PicturePrediction, spec: ModelSpec) -> Iterator[ViaRegion]:
    if each.value is not None:
        yield ViaRegion(
            number=0, shape=_rect(_whole(each)), attributes={spec.label_attribute: _number_of(each)}
        )
        return
    for number, found in enumerate(_detections(each)):
        yield ViaRegion(
            number=number,
            shape=_rect(found.box),
            attributes={SCORE_ATTRIBUTE: f"{found.score:.3f}", spec.label_attribute: found.label},
        )


def _detections(each: PicturePrediction) -> list[Detection]:
    if each.detections is not None:
        return each.detections
    return [Detection(label=each.label or "", score=each.score or 0.0, box=_whole(each))]


def _whole(each: PicturePrediction) -> Box:
    return Box(0.0, 0.0, float(each.width or 1), float(each.height or 1))


def _rect(box: Box) -> Rect:
    return Rect(x=box.x_min, y=box.y_min, width=round(box.width, 2), height=round(box.height, 2))


def _number_of(each: PicturePrediction) -> str:
    return "" if each.value is None else text_of(each.value)
