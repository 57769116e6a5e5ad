"""The images of a COCO file: their ids, names and sizes.

Source: `export_project_to_coco_format` of via-2.x.y/src/via.js (2.0.10 and 2.0.11); the data format of
cocodataset.org.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.coco_categories import key_of
from cnnpipe.formats.via.decode import value_of


class CocoImage(msgspec.Struct, frozen=True, kw_only=True):
    """One picture."""

    key: str  # its id
    filename: str
    width: int | None  # pixels; None: not stated
    height: int | None


def parse_images(values: Iterable[Any], where: str) -> tuple[list[CocoImage], list[Finding]]:
    """Return the images, and a finding for each that cannot be used: no name, no id, or that of another."""
    images: dict[str, CocoImage] = {}
    clashing: dict[str, list[str]] = defaultdict(list)
    findings = []
    for place, value in enumerate(values):
        try:
            image = _parse_image(value_of(value, where=where))
        except (ValueError, AnnotationError) as error:
            what = error.what if isinstance(error, AnnotationError) else str(error)
            fix = "correct `images`, or export the annotations from VIA as JSON"
            findings.append(found("entry-unreadable", f"{where}: image {place}", what, fix))
            continue
        first = images.setdefault(image.key, image)
        if first.filename != image.filename:
            clashing[image.key].append(image.filename)
        elif first is not image:
            what = f"the image {image.key} stands twice; the first counts"
            findings.append(found("entry-repeated", f"{where}: {image.filename}", what, "delete one of them"))
    for key, others in clashing.items():
        findings += _clash(key, [images.pop(key).filename, *dict.fromkeys(others)], where)
    return list(images.values()), findings


def _parse_image(value: Any) -> CocoImage:
    if not isinstance(value, Mapping):
        raise ValueError("the image is not an object")  # noqa: TRY004 (one error for all faults)
    filename = _filename(value)
    key = key_of(value.get("id"))
    if filename is None:
        raise ValueError("the image has no file name")
    if key is None or value.get("id") is None:
        raise ValueError(f"the image {filename!r} has no id")
    return CocoImage(
        key=key,
        filename=filename,
        width=_pixels(value.get("width")),
        height=_pixels(value.get("height")),
    )


def _filename(value: Mapping[str, Any]) -> str | None:
    name = value.get("file_name")
    if isinstance(name, str) and name.strip():
        return name
    for field in ("coco_url", "flickr_url"):
        address = value.get(field)
        if isinstance(address, str) and address.rstrip("/ ").strip():
            return address.rstrip("/ ").rpartition("/")[2]
    return None


def _pixels(value: Any) -> int | None:
    """Return a width or height; VIA writes -1 where it could not load the picture."""
    is_size = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**31
    return int(value) if is_size else None


def _clash(key: str, filenames: Sequence[str], where: str) -> Iterator[Finding]:
    for filename in filenames:
        other = next(each for each in filenames if each != filename)
        what = f"its image id {key} is that of {other}, too: their regions cannot be told apart; left out"
        fix = (
            "export the annotations from VIA as JSON: its COCO takes the number a name begins with for an id"
        )
        yield found("entry-unreadable", f"{where}: {filename}", what, fix)
