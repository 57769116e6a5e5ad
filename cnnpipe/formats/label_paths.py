"""Where YOLO and Pascal VOC keep what belongs to a picture: at its path, with another ending."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.picture_lookup import relative_spellings
from cnnpipe.formats.via.records import Loss, ViaEntry

_LONGEST_NAME: Final = 240  # bytes; file systems take 255, and an ending and `.part` come to it
_LONGEST_PATH: Final = 1000  # bytes; the folder it stands in comes to it


def label_paths(
    entries: Sequence[ViaEntry], suffix: str
) -> tuple[list[tuple[ViaEntry, PurePosixPath]], list[Loss]]:
    """Return the entries with the relative path of each one's file, and those whose name no file can have.

    A path never leaves the folder it is taken in: an absolute path, a drive or an address is reduced to the
    name of the picture, and `..` is dropped.

    Args:
        entries: the pictures.
        suffix: of the files, e.g. `.txt`.

    Raises:
        AnnotationError: two pictures would have the same file; it names both.
    """
    paths: list[tuple[ViaEntry, PurePosixPath]] = []
    losses: list[Loss] = []
    owners: dict[PurePosixPath, str] = {}
    for entry in entries:
        path = _label_path(entry.filename, suffix)
        if path is None:
            what, detail = "picture whose name no file can have", f"{len(entry.regions)} regions"
            losses.append(Loss(what=what, where=entry.filename, detail=detail))
            continue
        if path in owners:
            what = f"its annotations would stand in {path}, as those of {owners[path]} do"
            fix = "rename one of the two, or join them with `cnnpipe via merge` if they are one picture"
            raise AnnotationError(entry.filename, what, fix)
        owners[path] = entry.filename
        paths.append((entry, path))
    return paths, losses


def _label_path(filename: str, suffix: str) -> PurePosixPath | None:
    spelling = relative_spellings(filename)[0]
    parts = [part for part in PurePosixPath(spelling).parts if part not in ("", ".", "..", "/")]
    lengths = [len(part.encode()) for part in parts]
    if not parts or max(lengths) > _LONGEST_NAME or sum(lengths) > _LONGEST_PATH:
        return None
    path = PurePosixPath(*parts)
    return path.with_name(f"{path.stem}{suffix}")
