"""The user's annotation files and the pictures they name, as they lie before a project takes them in."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import DataError
from cnnpipe.files import sha256_of_file
from cnnpipe.formats.picture_lookup import PictureFolder, find_picture, index_pictures, namesakes
from cnnpipe.formats.via.merge import NamedEntry, name_pictures
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.records import ViaFile


class Annotations(msgspec.Struct, frozen=True, kw_only=True):
    """One annotation file; its pictures are named below the folder of the pictures."""

    path: Path  # absolute
    file: ViaFile
    named: Sequence[NamedEntry]  # entries whose pictures were found


class Originals(msgspec.Struct, frozen=True, kw_only=True):
    """What the user has. An image_id here is a path below `images_dir`."""

    images_dir: Path  # absolute, resolved
    annotations: Sequence[Annotations]
    namesakes: frozenset[str]  # pictures of a name that means several: they stay ambiguous together
    findings: Sequence[Finding]

    @property
    def named(self) -> list[NamedEntry]:
        """Return the entries of all files whose pictures were found, in order."""
        return [each for annotations in self.annotations for each in annotations.named]


def read_originals(annotations: Sequence[Path], images_dir: Path) -> Originals:
    """Return what the annotation files name below `images_dir`, by the rules of stage `ingest`.

    A picture that is a link out of that folder is taken for what it points to.

    Raises:
        DataError: an annotation file cannot be read, or `images_dir` is no folder.
    """
    if not images_dir.is_dir():
        raise DataError(str(images_dir), "no such folder", "name the folder of the pictures with --images")
    folder = index_pictures(images_dir, images_dir)
    findings: list[Finding] = []
    read: dict[str, Annotations] = {}
    for path in annotations:
        _refuse_unwritable_name(path)
        file = read_via(path, where=str(path))
        digest = sha256_of_file(path)
        if digest in read:
            what = f"the same bytes as {read[digest].path}; taken once"
            findings.append(found("file-repeated", str(path), what, "name it once"))
            continue
        find = partial(find_original, beside=path.parent, folder=folder)
        named, noticed = name_pictures(file, str(path), find)
        findings += (*file.findings, *noticed)
        read[digest] = Annotations(path=path.parent.resolve() / path.name, file=file, named=named)
    return Originals(
        images_dir=folder.images_dir,
        annotations=tuple(read.values()),
        namesakes=_ambiguous(read.values(), folder),
        findings=findings,
    )


def find_original(filename: str, beside: Path, folder: PictureFolder) -> tuple[str | None, list[Finding]]:
    """Return what `find_picture` does; but a link below the folder of the pictures may lead out of it."""
    image_id, noticed = find_picture(filename, beside, folder)
    if any(finding.code == "picture-outside" for finding in noticed):
        return _follow(filename, beside, folder) or (image_id, noticed)
    return image_id, noticed


def _refuse_unwritable_name(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        what = "its name is not Unicode, so params.yaml cannot name it"
        raise DataError(ascii(path.name), what, "rename the file") from error


def _follow(filename: str, beside: Path, folder: PictureFolder) -> tuple[str, list[Finding]] | None:
    """Return the picture where it is a link below the folder of the pictures, whatever it points to."""
    anywhere = msgspec.structs.replace(folder, raw_dir=Path(folder.images_dir.anchor))
    is_inside = beside.resolve().is_relative_to(folder.images_dir)
    image_id, noticed = find_picture(filename, beside if is_inside else folder.images_dir, anywhere)
    path = None if image_id is None else anywhere.raw_dir / image_id
    if path is None or not path.is_relative_to(folder.images_dir):
        return None
    return path.relative_to(folder.images_dir).as_posix(), noticed


def _ambiguous(read: Iterable[Annotations], folder: PictureFolder) -> frozenset[str]:
    several: set[str] = set()
    for annotations in read:
        keys = {each.entry.key for each in annotations.named}
        for entry in annotations.file.entries:
            if entry.key not in keys:
                several.update(namesakes(entry.filename, folder))
    return frozenset(several)
