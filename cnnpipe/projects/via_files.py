"""The VIA files of a command: read one by one, so that one broken file does not hide the others."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.errors import AnnotationError, DataError
from cnnpipe.formats.picture_lookup import PictureFolder, index_pictures
from cnnpipe.formats.pictures import read_header
from cnnpipe.formats.via.merge import name_pictures
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import ViaFile
from cnnpipe.projects.originals import find_original

_NAME_FIX: Final = "name a VIA file: exported annotations (JSON, CSV, COCO) or a saved project"


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the command line: what it holds, or why it cannot be read."""

    path: Path
    name: str  # as findings and messages call it: printable, each file another
    file: ViaFile | None
    error: AnnotationError | None
    digest: str  # SHA-256 of the bytes; "" where there are none

    @property
    def contents(self) -> ViaFile:
        """What it holds.

        Raises:
            AnnotationError: it cannot be read.
        """
        if self.file is None:
            raise self.error or AnnotationError(self.name, "cannot be read", _NAME_FIX)
        return self.file


def read_each(paths: Iterable[Path]) -> list[ReadFile]:
    """Return what each file holds; its kind is told by its content."""
    return [_read(path) for path in paths]


def read_all(paths: Iterable[Path]) -> list[tuple[str, ViaFile]]:
    """Return the files with their names.

    Raises:
        AnnotationError: one of them cannot be read.
    """
    return [(each.name, each.contents) for each in read_each(paths)]


def sizes_of(file: ViaFile, path: Path, images_dir: Path) -> dict[str, tuple[int, int]]:
    """Return width and height in pixels of the pictures of a file, upright, by entry key.

    A picture that is not found or is none has no size here.

    Args:
        file: as read.
        path: where it lies, for pictures are looked for beside it too.
        images_dir: the folder of the pictures.
    """
    folder = picture_folder(images_dir)
    find = partial(find_original, beside=path.parent, folder=folder)
    named, _ = name_pictures(file, str(path), find)
    sizes: dict[str, tuple[int, int]] = {}
    for each in named:
        try:
            header = read_header(folder.images_dir / each.image_id)
        except DataError:
            continue
        sizes[each.entry.key] = (header.width, header.height)
    return sizes


def picture_folder(images_dir: Path) -> PictureFolder:
    """Return the index of the pictures.

    Raises:
        DataError: it is no folder.
    """
    if not images_dir.is_dir():
        what = "is a file, not a folder" if images_dir.exists() else "no such folder"
        raise DataError(shown(images_dir), what, "name the folder of the pictures with --images")
    return index_pictures(images_dir, images_dir)


def shown(path: Path) -> str:
    """Return the path as text that can be printed, also where it is not Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def is_same_file(one: Path, other: Path) -> bool:
    """Whether both are one file, through links too."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return one.samefile(other)  # a hard link
    except OSError:
        return False


def one_or_mixed(values: Sequence[str]) -> str | None:
    """Return the one value there is, "mixed" where there are several, None where there is none."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else ("mixed" if distinct else None)


def _read(path: Path) -> ReadFile:
    name = shown(path)
    digest = ""
    try:
        content = _bytes(path, name)
        digest = hashlib.sha256(content).hexdigest()
        file = parse_via(content, where=name)
    except AnnotationError as error:
        return ReadFile(path=path, name=name, file=None, error=error, digest=digest)
    return ReadFile(path=path, name=name, file=file, error=None, digest=digest)


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise AnnotationError(name, "no such file", _NAME_FIX) from error
    except IsADirectoryError as error:
        inside = _likely(path)
        fix = f"name the file in it, e.g. {inside}" if inside else _NAME_FIX
        raise AnnotationError(name, "is a folder, not a VIA file", fix) from error
    except OSError as error:
        raise AnnotationError(name, f"cannot be read: {error.strerror}", _NAME_FIX) from error
    except ValueError as error:  # a zero byte in the name
        raise AnnotationError(name, "no such file", _NAME_FIX) from error


def _likely(folder: Path) -> str | None:
    """Return the file of a folder that was likely meant."""
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in (".json", ".csv"))
    except OSError:
        return None
    return shown(files[0]) if files else None
