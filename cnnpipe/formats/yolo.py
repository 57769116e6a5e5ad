"""Write the labels of YOLO: a text file for each picture, and data.yaml with the classes.

Source: docs.ultralytics.com/datasets/detect (Ultralytics YOLO format): one line per object,
`class x_center y_center width height`, as shares of the width and height of the picture, classes from 0.
"""

from pathlib import Path, PurePosixPath
from typing import Final

from cnnpipe.files import write_text
from cnnpipe.formats.label_paths import label_paths
from cnnpipe.formats.via.labelled_shapes import (
    Sizes,
    clipped,
    labelled_shapes,
    only_box_loss,
    picture_losses,
)
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.losses import pixel_size_loss
from cnnpipe.formats.via.records import Loss, ViaEntry, ViaFile
from cnnpipe.geometry.boxes import Box

_HEADER: Final = "# Put the pictures below images/, each where its file of labels stands below labels/.\n"


def write_yolo(
    file: ViaFile, folder: Path, labelling: Labelling, sizes: Sizes, *, polyline_as_outline: bool
) -> list[Loss]:
    """Fill `folder` with data.yaml and one file per picture below labels/; return what these cannot hold.

    The classes are numbered in the order of their names. A picture without objects has an empty file. Boxes
    are clipped to the picture.

    Raises:
        AnnotationError: the size of a picture with regions is not known, or two pictures would share a file.
    """
    sizes.required(file, without_regions=False)
    paths, losses = label_paths(file.entries, ".txt")
    losses += picture_losses(file)
    size_of = dict(zip(map(id, file.entries), sizes.of_entries, strict=True))
    pictures: list[tuple[PurePosixPath, list[tuple[str, str]]]] = []
    for entry, path in paths:
        rows, lost = _rows(entry, labelling, size_of[id(entry)], polyline_as_outline=polyline_as_outline)
        pictures.append((path, rows))
        losses += [*lost, *pixel_size_loss(entry)]
    classes = sorted({label for _, rows in pictures for label, _ in rows})
    numbers = {label: number for number, label in enumerate(classes)}
    for path, rows in pictures:
        lines = [f"{numbers[label]} {place}\n" for label, place in rows]
        write_text(folder / "labels" / path, "".join(lines))
    write_text(folder / "data.yaml", _HEADER + _data_yaml(classes))
    return losses


def _rows(
    entry: ViaEntry, labelling: Labelling, size: tuple[int, int] | None, *, polyline_as_outline: bool
) -> tuple[list[tuple[str, str]], list[Loss]]:
    """Return the label and the place of each object."""
    shapes, losses = labelled_shapes(entry, labelling, polyline_as_outline=polyline_as_outline)
    rows = []
    for shape in shapes:
        if size is None:  # only a picture without regions may have none
            continue
        box, lost = clipped(shape, size, entry.filename)
        losses += lost
        if box is not None:
            losses += only_box_loss(shape, entry.filename)
            rows.append((shape.label, _place(box, size)))
    return rows, losses


def _place(box: Box, size: tuple[int, int]) -> str:
    width, height = size
    shares = (
        (box.x_min + box.x_max) / 2 / width,
        (box.y_min + box.y_max) / 2 / height,
        box.width / width,
        box.height / height,
    )
    return " ".join(f"{share:.8f}" for share in shares)


def _data_yaml(classes: list[str]) -> str:
    names = "".join(f"  {number}: {_quoted(label)}\n" for number, label in enumerate(classes))
    return f"path: .\ntrain: images\nval: images\nnames:{'' if names else ' {}'}\n{names}"


def _quoted(text: str) -> str:
    """Return the text as a double-quoted scalar.

    By hand, for ruamel.yaml leaves some ends of lines (U+0085) as they are, and reads blanks in their place.

    Source: YAML 1.2, section 5.7, escaped characters.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in escaped) + '"'
