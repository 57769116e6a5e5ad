"""Where the picture is that a VIA file names: only ever below the raw folder."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from cnnpipe.annotations import Finding, found

_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:/ is a drive
_DRIVE: Final = re.compile(r"[A-Za-z]:/")


class PictureFolder(msgspec.Struct, frozen=True, kw_only=True):
    """The files among which pictures are looked for, indexed once."""

    raw_dir: Path  # resolved; nothing outside it is read
    images_dir: Path
    by_name: Mapping[str, Sequence[Path]]
    by_folded_name: Mapping[str, Sequence[Path]]  # without case, accents composed


def index_pictures(raw_dir: Path, images_dir: Path) -> PictureFolder:
    """Return the index of all files below `images_dir`; links to folders are not followed."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    by_folded_name: dict[str, list[Path]] = defaultdict(list)
    for path in _files_below(images_dir.resolve()):
        by_name[path.name].append(path)
        by_folded_name[_fold(path.name)].append(path)
    return PictureFolder(
        raw_dir=raw_dir.resolve(),
        images_dir=images_dir.resolve(),
        by_name=by_name,
        by_folded_name=by_folded_name,
    )


def find_picture(filename: str, beside: Path, folder: PictureFolder) -> tuple[str | None, list[Finding]]:
    """Return the image_id of the picture that a VIA file names, or None, and what was noticed.

    It is looked for beside the annotation file, then by its relative path below `images_dir`, then
    by its name anywhere below it, then so without regard to case. A path of another system (with a
    drive, absolute, an address) is reduced to its name. Each as it stands, then percent-decoded.

    Args:
        filename: as the file names it.
        beside: the folder of the annotation file.
        folder: from `index_pictures`.
    """
    names, bases = relative_spellings(filename), (_resolved(beside), folder.images_dir)
    paths = [Path(os.path.normpath(base / name)) for name in names for base in bases]
    inside = [path for path in paths if path.is_relative_to(folder.raw_dir)]
    if not inside:
        return None, [_outside(filename)]
    for path in filter(_is_file, inside):
        return _accept(path, filename, folder)
    for name in names:
        named = folder.by_name.get(PurePosixPath(name).name, ())
        if named:
            return _accept_only(named, filename, folder, finding=None)
    folded = folder.by_folded_name.get(_fold(PurePosixPath(names[-1]).name), ())
    if folded:
        return _accept_only(folded, filename, folder, finding="picture-case")
    fix = "put the file below ingest.images_dir, or delete the picture in VIA"
    return None, [found("picture-missing", filename, "no such file below ingest.images_dir", fix)]


def namesakes(filename: str, folder: PictureFolder) -> list[str]:
    """Return all files of this name below `images_dir`, in any spelling, as paths below the raw folder."""
    names = {PurePosixPath(name).name for name in relative_spellings(filename)}
    paths = {path for name in names for path in folder.by_folded_name.get(_fold(name), ())}
    return sorted(path.relative_to(folder.raw_dir).as_posix() for path in paths)


def relative_spellings(filename: str) -> list[str]:
    """Return the relative paths that a file name in a VIA file can mean, the likeliest first."""
    spellings = [filename, unquote(filename)]
    if _ADDRESS.match(filename):
        # the part behind ? or # of an address names no file
        spellings += [filename := urlsplit(filename).path, unquote(filename)] if _has_path(filename) else []
    relative = [_relative(spelling) for spelling in spellings if "\0" not in spelling]
    return list(dict.fromkeys(name for name in relative if name)) or ["."]


def _has_path(address: str) -> bool:
    try:
        return bool(urlsplit(address).path)
    except ValueError:  # e.g. a bracket in the host
        return False


def _relative(spelling: str) -> str:
    path = spelling.strip().replace("\\", "/")
    is_foreign = path.startswith("/") or _DRIVE.match(path) or _ADDRESS.match(path)
    return PurePosixPath(path).name if is_foreign else path


def _accept_only(
    paths: Sequence[Path], filename: str, folder: PictureFolder, *, finding: str | None
) -> tuple[str | None, list[Finding]]:
    if len(paths) > 1:
        names = sorted(path.relative_to(folder.raw_dir).as_posix() for path in paths)
        what = f"{len(paths)} files have this name: {', '.join(names[:3])}"
        return None, [found("picture-ambiguous", filename, what, "name it with its folder in the VIA file")]
    image_id, findings = _accept(paths[0], filename, folder)
    if finding and image_id:
        what = f"named {filename!r} in the VIA file: another spelling"
        findings = [found(finding, image_id, what, "give the file the name that the VIA file uses")]
    return image_id, findings


def _accept(path: Path, filename: str, folder: PictureFolder) -> tuple[str | None, list[Finding]]:
    if not _resolved(path).is_relative_to(folder.raw_dir):  # a link that leads out
        return None, [_outside(filename)]
    return path.relative_to(folder.raw_dir).as_posix(), []


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))  # as Path.resolve, in half the time; this is asked for each picture


def _outside(filename: str) -> Finding:
    fix = "copy the picture below ingest.raw_dir and name it there"
    return found("picture-outside", filename, "leads out of ingest.raw_dir, so it is not read", fix)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if _is_text(path):
                yield path


def _is_text(path: Path) -> bool:
    """Whether the path is Unicode: another could not be written as an image_id."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # e.g. the name is too long
        return False


def _fold(name: str) -> str:
    # macOS writes accents decomposed
    return unicodedata.normalize("NFC", name).casefold()
