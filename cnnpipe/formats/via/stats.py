"""What VIA files hold, counted: pictures, shapes, attributes and their use, labels, sizes of boxes."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from cnnpipe.formats.via.labelling import Labelling, labels_by
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import DeclaredAttribute, Part, ViaEntry, ViaFile, ViaRegion
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Line, Point, Shape, shape_to_box

_MOST_VALUES: Final = 50  # of an attribute that are told one by one, the most frequent first
_NO_SHAPE: Final = "none"

Sizes = Mapping[str, tuple[int, int]]  # entry key to width and height in pixels


class Quartiles(msgspec.Struct, frozen=True, kw_only=True):
    """The spread of a number. Source: linear interpolation, R's type 7, as numpy.quantile."""

    least: float
    lower: float
    median: float
    upper: float
    most: float


class AttributeStats(msgspec.Struct, frozen=True, kw_only=True):
    """How one attribute is used."""

    type: str | None  # as a project declares it; None: not declared
    num_filled: int  # regions, or pictures, with a value
    num_missing: int
    num_distinct: int
    values: dict[str, int]  # the most frequent first; of very many only some
    unused_options: Sequence[str]  # declared, and nobody's value


class LabelStats(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of one class."""

    regions: int
    images: int


class BoxStats(msgspec.Struct, frozen=True, kw_only=True):
    """The boxes around all shapes with an area."""

    count: int
    width_px: Quartiles
    height_px: Quartiles
    # square root of the box's share of the picture's area; None: the size of no picture is known
    relative_side: Quartiles | None
    num_relative: int  # boxes whose picture's size is known


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What the files hold together."""

    images: int
    images_without_regions: int
    regions: int
    regions_per_image: Quartiles | None  # None: no picture
    shapes: dict[str, int]
    attributes: dict[Part, dict[str, AttributeStats]]
    label_attribute: str | None
    labels: dict[str, LabelStats]
    boxes: BoxStats | None  # None: none has an area
    num_degenerate: int  # shapes that should have an area, and have none
    num_outside: int  # boxes that leave their picture; above and to the left, where its size is not known
    num_sized: int  # pictures whose size is known


def compute_stats(files: Sequence[ViaFile], labelling: Labelling, sizes: Sequence[Sizes] = ()) -> Stats:
    """Return what the files hold; a picture that stands in two of them counts twice.

    Args:
        files: as read.
        labelling: which attribute of a region holds the class.
        sizes: of the pictures, per file; where one is lacking, as the file itself states it.
    """
    entries = [entry for file in files for entry in file.entries]
    regions = [region for entry in entries for region in entry.regions]
    of_entries = [
        _size(entry, sizes[number] if number < len(sizes) else {})
        for number, file in enumerate(files)
        for entry in file.entries
    ]
    boxes = [_boxes(entry) for entry in entries]
    return Stats(
        images=len(entries),
        images_without_regions=sum(not entry.regions for entry in entries),
        regions=len(regions),
        regions_per_image=_quartiles([len(entry.regions) for entry in entries]),
        shapes=dict(Counter(_shape_name(region.shape) for region in regions).most_common()),
        attributes={
            "region": _attribute_stats([region.attributes for region in regions], files, "region"),
            "file": _attribute_stats([entry.file_attributes for entry in entries], files, "file"),
        },
        label_attribute=labelling.attribute,
        labels=_label_stats(entries, labelling),
        boxes=_box_stats(boxes, of_entries),
        num_degenerate=sum(_is_degenerate(region) for region in regions),
        num_outside=sum(
            _is_outside(box, size) for of_one, size in zip(boxes, of_entries, strict=True) for box in of_one
        ),
        num_sized=sum(size is not None for size in of_entries),
    )


_Size = tuple[int, int] | None


def _size(entry: ViaEntry, sizes: Sizes) -> _Size:
    if entry.key in sizes:
        return sizes[entry.key]
    known = entry.width is not None and entry.height is not None and entry.width > 0 and entry.height > 0
    return (entry.width or 0, entry.height or 0) if known else None


def _boxes(entry: ViaEntry) -> list[Box]:
    boxes = (None if region.shape is None else shape_to_box(region.shape) for region in entry.regions)
    return [box for box in boxes if box is not None]


def _shape_name(shape: Shape | None) -> str:
    if shape is None:
        return _NO_SHAPE
    return str(shape.__struct_config__.tag)


def _is_degenerate(region: ViaRegion) -> bool:
    shape = region.shape
    return not (shape is None or isinstance(shape, Point | Line)) and shape_to_box(shape) is None


def _is_outside(box: Box, size: _Size) -> bool:
    if box.x_min < 0 or box.y_min < 0:
        return True
    return size is not None and (box.x_max > size[0] or box.y_max > size[1])


def _label_stats(entries: Iterable[ViaEntry], labelling: Labelling) -> dict[str, LabelStats]:
    num_regions: Counter[str] = Counter()
    num_images: Counter[str] = Counter()
    for entry in entries:
        labels = [label for region in entry.regions for label in labels_by(labelling, region.attributes)]
        num_regions.update(labels)
        num_images.update(set(labels))
    return {
        label: LabelStats(regions=count, images=num_images[label])
        for label, count in sorted(num_regions.items(), key=lambda item: (-item[1], item[0]))
    }


def _attribute_stats(
    holders: Sequence[Mapping[str, Any]], files: Sequence[ViaFile], part: Part
) -> dict[str, AttributeStats]:
    """Return how each attribute is used, those that are only declared included; the most used first."""
    declared: dict[str, DeclaredAttribute] = {}
    options: dict[str, dict[str, None]] = {}
    for file in files:
        for name, each in file.attributes.get(part, {}).items():
            declared.setdefault(name, each)
            options.setdefault(name, {}).update(dict.fromkeys(each.options))
    values: dict[str, Counter[str]] = {name: Counter() for name in declared}
    filled: Counter[str] = Counter()
    for holder in holders:
        for name, value in holder.items():
            labels = labels_of(value)
            values.setdefault(name, Counter()).update(labels)
            filled[name] += bool(labels)
    return {
        name: AttributeStats(
            type=declared[name].type if name in declared else None,
            num_filled=filled[name],
            num_missing=len(holders) - filled[name],
            num_distinct=len(values[name]),
            values=dict(sorted(values[name].items(), key=lambda item: (-item[1], item[0]))[:_MOST_VALUES]),
            unused_options=[each for each in options.get(name, {}) if each.strip() not in values[name]],
        )
        for name in sorted(values, key=lambda name: (-filled[name], name))
    }


def _box_stats(boxes: Sequence[Sequence[Box]], sizes: Sequence[_Size]) -> BoxStats | None:
    widths = [box.width for of_one in boxes for box in of_one]
    heights = [box.height for of_one in boxes for box in of_one]
    relative = [
        math.sqrt(box.width / size[0]) * math.sqrt(box.height / size[1])
        for of_one, size in zip(boxes, sizes, strict=True)
        if size is not None
        for box in of_one
    ]
    width, height = _quartiles(widths), _quartiles(heights)
    if width is None or height is None:
        return None
    return BoxStats(
        count=len(widths),
        width_px=width,
        height_px=height,
        relative_side=_quartiles(relative),
        num_relative=len(relative),
    )


def _quartiles(values: Sequence[float]) -> Quartiles | None:
    if not values:
        return None
    with np.errstate(all="ignore"):  # sides of 1e308
        least, lower, median, upper, most = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Quartiles(least=least, lower=lower, median=median, upper=upper, most=most)
