"""Which pictures a person means by files, folders, patterns and lists: each of them once."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.errors import DataError

# What counts as a picture in a folder; a file that is named counts whatever it is called.
EXTENSIONS: Final = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff"),
        *(".webp", ".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
    ]
)
_LIST: Final = "@"
_SHOWN: Final = 3  # arguments named in an error


class PictureFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures below one folder."""

    root: Path  # absolute; the folder that all arguments have in common
    names: Sequence[str]  # paths below it, as the system spells them, in the order asked for
    notes: Sequence[str]  # what was passed over, and why


def find_pictures(arguments: Sequence[str], *, leave_out: Path) -> PictureFiles:
    """Return the pictures that `arguments` name, each once however often it is named.

    A folder stands for the pictures below it, by their extension, sorted; hidden files and links to other
    folders are passed over. A file that is named is taken whatever it is, and also when it is missing: what
    cannot be read is found out when it is.

    Args:
        arguments: files, folders, patterns (`shots/**/*.png`), and lists (`@list.txt`: a path per line, from
            the current folder); patterns are tried only where no file has that very name.
        leave_out: a folder of our own results, which may lie below one of these.

    Raises:
        DataError: there is no picture at all, or a list cannot be read.
    """
    notes: list[str] = []
    targets = [_absolute(target) for each in arguments for target in _expand(each, notes)]
    folders = {target for target in targets if target.is_dir()}
    ours = _absolute(leave_out)
    by_file: dict[str, Path] = {}  # what it is, links followed, to how it was first named
    for target in targets:
        for path in _below(target, notes) if target in folders else [target]:
            if not path.is_relative_to(ours):
                by_file.setdefault(os.path.realpath(path), path)
    if not any(map(os.path.lexists, by_file)):
        raise _nothing(arguments, is_missing=bool(by_file))
    root = Path(os.path.commonpath([each if each in folders else each.parent for each in targets]))
    names = [str(path.relative_to(root)) for path in by_file.values()]
    return PictureFiles(root=root, names=names, notes=notes)


def _absolute(path: str | Path) -> Path:
    # not resolved: a linked folder keeps the name that the user gave it
    return Path(os.path.normpath(Path(path).absolute()))


def _expand(argument: str, notes: list[str]) -> Iterator[str]:
    if os.path.lexists(argument):
        yield argument
    elif argument.startswith(_LIST):
        yield from _listed(Path(argument.removeprefix(_LIST)))
    elif glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 (a pattern may be absolute)
        if not matches:
            notes.append(f"{argument}: no file matches")
        yield from matches
    else:
        yield argument


def _listed(path: Path) -> Iterator[str]:
    fix = "name a text file with the path of one picture per line"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(str(path), f"the list cannot be read: {error.strerror}", fix) from error
    if b"\0" in content:
        raise DataError(str(path), "the list is not a text", fix)
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if name := os.fsdecode(line.rstrip(b"\r")):
            yield name


def _below(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yield the pictures below a folder, those of the folder itself before those of its subfolders."""

    def note(error: OSError) -> None:
        notes.append(f"{error.filename}: the folder cannot be listed: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            # macOS leaves a "._a.jpg" beside every a.jpg on foreign disks
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(parent, name)


def _nothing(arguments: Sequence[str], *, is_missing: bool) -> DataError:
    shown = ", ".join(arguments[:_SHOWN]) + (", …" if len(arguments) > _SHOWN else "")
    what = "no such file or folder" if is_missing else "no picture in there"
    known = ", ".join(sorted(EXTENSIONS))
    fix = f"name files, patterns in quotes, @list.txt, or folders with pictures ({known})"
    return DataError(shown, what, fix)
