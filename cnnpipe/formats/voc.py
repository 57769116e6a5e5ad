"""Write annotations of Pascal VOC: an XML file for each picture.

Source: the development kit of VOC2012: `bndbox` names the first and the last pixel of an object, counted from
1 at the top left. So a box from x_min to x_max between pixels, from 0, is xmin = x_min + 1, xmax = x_max;
fractions are kept. detectron2 reads it so, in data/datasets/pascal_voc.py.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from cnnpipe.files import write_bytes
from cnnpipe.formats.label_paths import label_paths
from cnnpipe.formats.via.labelled_shapes import (
    LabelledShape,
    Sizes,
    clipped,
    labelled_shapes,
    only_box_loss,
    picture_losses,
)
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile
from cnnpipe.formats.via.written_values import js_number
from cnnpipe.geometry.boxes import Box

_FLAGS: Final = ("truncated", "difficult", "occluded")
_YES: Final = frozenset({"1", "true", "yes", "y", *_FLAGS})
# XML 1.0, section 2.2; a carriage return would be read as the end of a line
_NOT_XML: Final = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_voc(
    file: ViaFile, folder: Path, labelling: Labelling, sizes: Sizes, *, polyline_as_outline: bool
) -> list[Loss]:
    """Fill `folder` with Annotations/, one file per picture; return what these cannot hold.

    Boxes are clipped to the picture. Attributes called truncated, difficult or occluded become the flags of
    these names.

    Raises:
        AnnotationError: the size of a picture is not known, or two pictures would share a file.
    """
    sizes.required(file, without_regions=True)
    paths, losses = label_paths(file.entries, ".xml")
    losses += picture_losses(file)
    size_of = dict(zip(map(id, file.entries), sizes.of_entries, strict=True))
    for entry, path in paths:
        size = size_of[id(entry)] or (0, 0)  # checked above
        shapes, lost = labelled_shapes(
            entry, labelling, polyline_as_outline=polyline_as_outline, held=_flag_names(entry)
        )
        losses += lost
        root = _picture(entry, size)
        for shape in shapes:
            box, lost = clipped(shape, size, entry.filename)
            losses += lost
            if box is not None:
                losses += only_box_loss(shape, entry.filename)
                root.append(_object(shape, box))
        losses += _without_controls(root, entry.filename)
        ET.indent(root, "\t")
        write_bytes(folder / "Annotations" / path, ET.tostring(root, encoding="utf-8") + b"\n")
    return losses


def _picture(entry: ViaEntry, size: tuple[int, int]) -> ET.Element:
    root = ET.Element("annotation")
    parts = entry.filename.replace("\\", "/").split("/")
    _add(root, "folder", "/".join(parts[:-1]))
    _add(root, "filename", parts[-1])
    of_picture = ET.SubElement(root, "size")
    width, height = size
    # a depth is asked for, and no VIA file says it: colour
    for name, value in {"width": width, "height": height, "depth": 3}.items():
        _add(of_picture, name, str(value))
    _add(root, "segmented", "0")
    return root


def _object(shape: LabelledShape, box: Box) -> ET.Element:
    element = ET.Element("object")
    _add(element, "name", shape.label)
    _add(element, "pose", "Unspecified")
    flags = _flags(shape.region.attributes)
    for name in _FLAGS:
        if name in flags or name != "occluded":
            _add(element, name, str(int(flags.get(name, False))))
    of_object = ET.SubElement(element, "bndbox")
    corners = {"xmin": box.x_min + 1, "ymin": box.y_min + 1, "xmax": box.x_max, "ymax": box.y_max}
    for name, value in corners.items():
        _add(of_object, name, repr(js_number(value)))
    return element


def _flags(attributes: Mapping[str, Any]) -> dict[str, bool]:
    """Return the flags that attributes set, by their names in small letters."""
    return {
        name.strip().lower(): any(label.lower() in _YES for label in labels_of(value))
        for name, value in attributes.items()
        if name.strip().lower() in _FLAGS
    }


def _flag_names(entry: ViaEntry) -> set[str]:
    """Return the attributes of an entry's regions that are flags, as they are spelled."""
    names = {name for region in entry.regions for name in region.attributes}
    return {name for name in names if name.strip().lower() in _FLAGS}


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _without_controls(root: ET.Element, where: str) -> list[Loss]:
    """Put U+FFFD in place of what XML cannot hold."""
    losses = []
    for element in root.iter():
        if element.text and _NOT_XML.search(element.text):
            detail = f"{element.tag} {element.text!r}"
            losses.append(Loss(what="character that XML cannot hold", where=where, detail=detail))
            element.text = _NOT_XML.sub("\ufffd", element.text)
    return losses
