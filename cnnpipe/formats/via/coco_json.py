"""COCO as VIA 2.0.8 to 2.0.12 write it, each with its own faults, and as other tools do.

VIA's own COCO is no good source: text and checkbox classes, polylines and regions without a class are not
in it. What is there is read, one region for each annotation.

Source: `export_project_to_coco_format` of via-2.x.y/src/via.js (2.0.10 and 2.0.11), `pack_via_metadata` of
2.0.8 and 2.0.9; the data format of cocodataset.org, object detection.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.coco_categories import Categories, key_of, parse_categories
from cnnpipe.formats.via.coco_images import CocoImage, parse_images
from cnnpipe.formats.via.coco_shapes import parse_coco_shape
from cnnpipe.formats.via.decode import decode_members, value_of
from cnnpipe.formats.via.long_objects import decode_object
from cnnpipe.formats.via.records import DeclaredAttribute, ViaEntry, ViaFile, ViaRegion

_FIX: Final = "draw the region again in VIA, or correct the annotation"
_NOT_COCO: Final = (
    "name a COCO file with `images` and `annotations`, or export the annotations from VIA as JSON"
)
_CROWD: Final = "iscrowd"  # attribute of a region around many objects
_BY_VIA: Final = ("Exported using VGG Image Annotator", "VIA project exported to COCO")
_FIELDS: Final = frozenset(
    {"id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd", "keypoints", "num_keypoints"}
)
_MOST_LISTED: Final = 1000  # faults of one kind that get a finding each
_REPAIRS: Final[Mapping[str, str]] = {
    "flat": "outlines are one list of numbers, without the list around it (VIA 2.0.8 and 2.0.9)",
    "parts": "annotations are of several polygons; each is read as the one box around them",
    "mask": "annotations are masks (RLE), which VIA does not have; each is read as its box",
    "text": "rectangles hold numbers as texts; each is read from its box",
    "repeated": "annotations are written again under the same id, with nothing else in them; one is read",
    "shared-id": "annotations have the id of another; all are read",
    "crowd": f"annotations are one region around many objects; their attribute {_CROWD} says 1",
}


class _Noticed(msgspec.Struct, frozen=True, kw_only=True):
    repairs: Counter[str]
    unknown: Counter[str]  # fields that are not kept
    unread: Counter[str]  # category ids that mean nothing, or several things


class _Annotation(msgspec.Struct, frozen=True, kw_only=True):
    place: int  # in the file, from 0
    value: msgspec.Raw | Any


def read_coco(text: bytes, *, where: str) -> ViaFile:
    """Return the file with this text; `where` is its name, for findings.

    The key of an entry is the id of its image. An image whose id another one has is left out, for their
    annotations cannot be told apart.

    Raises:
        AnnotationError: not JSON, or no list of images or of annotations.
    """
    members = dict(decode_members(text, where=where) or [])
    images, about_images = parse_images(_list(members, "images", where), where)
    annotations = _list(members, "annotations", where)
    categories = parse_categories(value_of(members.get("categories"), where=where), where=where)
    noticed = _Noticed(repairs=Counter(), unknown=Counter(), unread=Counter())
    grouped, lost = _group(annotations, images, noticed, where)
    entries = tuple(_read_image(image, grouped.pop(image.key, []), categories, noticed) for image in images)
    info = value_of(members.get("info"), where=where)
    is_by_via = _is_by_via(info)
    return ViaFile(
        kind="coco-json",
        version="2" if is_by_via else "coco",
        entries=entries,
        attributes={"region": _declared(categories, noticed), "file": {}},
        image_order=tuple(entry.key for entry in entries),
        findings=(
            *(_unsafe(where) if is_by_via else ()),
            *about_images,
            *categories.findings,
            *lost,
            *_describe(noticed, categories, where),
        ),
        num_images=len(_list(members, "images", where)),
        num_regions=len(annotations),
    )


def _list(members: Mapping[str, Any], name: str, where: str) -> Sequence[msgspec.Raw | Any]:
    """Return the elements of a list, still as text so that each can be read and let go."""
    value = members.get(name)
    try:
        elements = _ELEMENTS.decode(value) if isinstance(value, msgspec.Raw) else value
    except (msgspec.DecodeError, RecursionError):
        elements = value_of(value, where=where)
    if not isinstance(elements, list):
        raise AnnotationError(where, f"`{name}` is not a list", _NOT_COCO)
    return elements


def _group(
    annotations: Sequence[Any], images: Sequence[CocoImage], noticed: _Noticed, where: str
) -> tuple[dict[str, list[_Annotation]], list[Finding]]:
    """Return the annotations of each image, each once, and a finding for those of no image."""
    known = {image.key for image in images}
    grouped: dict[str, list[_Annotation]] = defaultdict(list)
    strays: Counter[str] = Counter()
    findings = []
    seen: dict[str, int] = {}  # id to the hash of what was read first
    for place, value in enumerate(annotations):
        try:
            ids = _IDS.decode(value) if isinstance(value, msgspec.Raw) else msgspec.convert(value, _Ids)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
            strays["not an object"] += 1
            if strays["not an object"] <= _MOST_LISTED:
                at = f"{where}: annotation {place}"
                findings.append(found("region-unreadable", at, "the annotation is not an object", _FIX))
            continue
        if _is_repeated(ids, value, seen, noticed):
            continue
        image = key_of(ids.image_id)
        if image in known and image is not None:
            grouped[image].append(_Annotation(place=place, value=value))
        else:
            strays[image or "none"] += 1
    return grouped, [*findings, *_stray(strays, where)]


def _is_repeated(ids: "_Ids", value: Any, seen: dict[str, int], noticed: _Noticed) -> bool:
    """Whether the annotation was read before; VIA writes a region with two class values twice."""
    key = key_of(ids.id)
    if ids.id is None or key is None:
        return False
    content = hash(bytes(value) if isinstance(value, msgspec.Raw) else repr(value))
    if key not in seen:
        seen[key] = content
        return False
    is_same = seen[key] == content
    noticed.repairs["repeated" if is_same else "shared-id"] += 1
    return is_same


def _stray(strays: Counter[str], where: str) -> Iterator[Finding]:
    num_others = strays.pop("not an object", 0)
    if num_others > _MOST_LISTED:
        what = f"{num_others - _MOST_LISTED} more annotations are not objects"
        yield found("region-unreadable", where, what, _FIX)
    if strays:
        ids = ", ".join(list(strays)[:5])
        what = (
            f"{strays.total()} annotations are of images that are not listed, or left out (image ids: {ids})"
        )
        yield found("region-unreadable", where, what, "correct `images`, or export the file again")


def _read_image(
    image: CocoImage, annotations: Sequence[_Annotation], categories: Categories, noticed: _Noticed
) -> ViaEntry:
    regions, findings = [], []
    for number, annotation in enumerate(annotations):
        try:
            regions.append(_read_region(number, annotation, categories, noticed))
        except (ValueError, AnnotationError) as error:
            reason = error.what if isinstance(error, AnnotationError) else str(error)
            what = f"annotation {annotation.place}: {reason}"
            findings.append(found("region-unreadable", image.filename, what, _FIX, region=number))
    return ViaEntry(
        key=image.key,
        filename=image.filename,
        size_bytes=None,
        regions=tuple(regions),
        file_attributes={},
        findings=tuple(findings),
        width=image.width,
        height=image.height,
    )


def _read_region(
    number: int, annotation: _Annotation, categories: Categories, noticed: _Noticed
) -> ViaRegion:
    value = decode_object(annotation.value, "segmentation", where="")
    parsed = parse_coco_shape(value)
    if parsed.repair is not None:
        noticed.repairs[parsed.repair] += 1
    noticed.unknown.update(name for name in value if name not in _FIELDS)
    return ViaRegion(
        number=number,
        shape=parsed.shape,
        attributes=_label(value, categories, noticed) | _crowd(value, noticed),
    )


def _label(value: Mapping[str, Any], categories: Categories, noticed: _Noticed) -> dict[str, Any]:
    key = key_of(value.get("category_id")) if "category_id" in value else None
    if key is None:
        return {}
    if key in categories.labels:
        return {categories.attribute: categories.labels[key]}
    noticed.unread[key] += 1
    return {}


def _crowd(value: Mapping[str, Any], noticed: _Noticed) -> dict[str, Any]:
    if value.get("iscrowd") not in (1, True, "1"):
        return {}
    noticed.repairs["crowd"] += 1
    return {_CROWD: "1"}


def _is_by_via(info: Any) -> bool:
    description = info.get("description") if isinstance(info, Mapping) else None
    return isinstance(description, str) and description.startswith(_BY_VIA)


def _declared(categories: Categories, noticed: _Noticed) -> dict[str, DeclaredAttribute]:
    declared = {categories.attribute: categories.declared} if categories.declared.options else {}
    crowd = {_CROWD: DeclaredAttribute(type="dropdown", options={"1": "many objects in one region"})}
    return declared | crowd if noticed.repairs["crowd"] else declared


def _unsafe(where: str) -> Iterator[Finding]:
    what = (
        "COCO written by VIA: text and checkbox classes, polylines and regions without a class "
        "are not in it, and classes may be mixed up"
    )
    yield found("file-unsafe", where, what, "use the project or the annotations JSON of VIA instead")


def _describe(noticed: _Noticed, categories: Categories, where: str) -> Iterator[Finding]:
    for kind, what in _REPAIRS.items():
        if noticed.repairs[kind]:
            fix = "nothing to do, if that is what was meant; else read the file it was made from"
            yield found("file-repaired", where, f"{noticed.repairs[kind]} {what}", fix)
    for key, times in noticed.unread.items():
        meanings = categories.ambiguous.get(key)
        meant = f"{len(meanings)} categories ({', '.join(meanings[:5])})" if meanings else "no category"
        what = f"the category id {key} is that of {meant}; {times} regions are without a class"
        fix = "use the project or the annotations JSON of VIA instead, or correct `categories`"
        yield found("attribute-conflict", where, what, fix)
    for name, times in sorted(noticed.unknown.items()):
        what = f"the field {name!r} has no place in VIA; it is passed over ({times} times)"
        yield found("field-unknown", where, what, "nothing to do, unless it holds the class")


class _Ids(msgspec.Struct, frozen=True):
    id: Any = None
    image_id: Any = None


_IDS: Final = msgspec.json.Decoder(_Ids)
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
