"""Where the user's files go below data/raw, so that stage `ingest` finds there what they name here.

All pictures lie below one folder, each at the path it has below --images. Annotation files that lie among the
pictures keep their place there, for VIA names pictures relative to its file. The others lie in a folder of
their own, without a picture beside them. But where one of those names a picture by a path that leads up
(`../pictures/a.jpg`), all files keep their places relative to each other.
"""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

import msgspec

from cnnpipe.projects.originals import Annotations, Originals

_IMAGES: Final = "images"
_ANNOTATIONS: Final = "annotations"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files of a new project go, as POSIX paths below data/raw."""

    images_dir: str  # the pictures lie below it, by their image_id
    annotations: tuple[str, ...]  # in the order of `Originals.annotations`


def lay_out(originals: Originals) -> Layout:
    """Return the layout of a new project; stage `ingest` finds the same pictures in it.

    Left out is one case: a name that leads out of the folder of the pictures altogether.
    """
    outside = [each for each in originals.annotations if not _is_among(each, originals.images_dir)]
    if any(_leads_up(entry.filename) for each in outside for entry in each.file.entries):
        return _in_their_places(originals)
    taken: set[str] = set()
    targets = []
    for each in originals.annotations:
        if each in outside:
            target = free_name(f"{_ANNOTATIONS}/{each.path.name}", taken)
        else:
            target = f"{_IMAGES}/{_below(each.path, originals.images_dir)}"
        taken.add(target)
        targets.append(target)
    return Layout(images_dir=_IMAGES, annotations=tuple(targets))


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return `wanted`, or with a number before its ending where that is taken: via.json, via_2.json."""
    path, names, number = PurePosixPath(wanted), set(taken), 1
    while str(path) in names:
        number += 1
        path = PurePosixPath(wanted).with_name(
            f"{PurePosixPath(wanted).stem}_{number}{PurePosixPath(wanted).suffix}"
        )
    return str(path)


def _is_among(annotations: Annotations, images_dir: Path) -> bool:
    return annotations.path.is_relative_to(images_dir)


def _leads_up(filename: str) -> bool:
    return ".." in unquote(filename).replace("\\", "/").split("/")


def _in_their_places(originals: Originals) -> Layout:
    parents = [annotations.path.parent for annotations in originals.annotations]
    top = Path(os.path.commonpath([originals.images_dir, *parents]))
    return Layout(
        images_dir=_below(originals.images_dir, top),
        annotations=tuple(_below(annotations.path, top) for annotations in originals.annotations),
    )


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
