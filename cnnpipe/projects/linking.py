"""Pictures into a project without their bytes being stored twice, where the file system can do that.

A hard-linked picture in a project is the user's own file under a second name, so nothing may write to it:
stage `ingest` opens pictures to read, and DVC leaves what is a plain dependency of a stage as it lies (only
`dvc add` and outputs are replaced by links or made read-only; data/raw is neither).
"""

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from cnnpipe.errors import DataError, StorageError

Way = Literal["reflink", "hardlink", "copy"]  # from the best to the one that always works
_FICLONE: Final = 0x40049409  # Source: linux/fs.h: _IOW(0x94, 9, int)
_SPARE_BYTES: Final = 64 * 2**20  # left free beside what is copied: git, DVC and the params


def bring_pictures(targets: Mapping[Path, Path], folder: Path, say: Callable[[str], None]) -> dict[Way, int]:
    """Bring pictures into a project; return how many came by which way.

    Args:
        targets: where each picture goes, by where it is.
        folder: all of them go somewhere below it; made where it is absent.
        say: told what it costs before anything is copied.

    Raises:
        StorageError: the disk cannot hold what must be copied; nothing was brought yet.
        DataError: a picture cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    states = {source: source.stat() for source in targets}
    ways = _ways_into(folder, states)
    copied = sum(state.st_size for state in states.values() if ways[state.st_dev] == "copy")
    linked = sum(state.st_size for state in states.values()) - copied
    say(f"pictures: {_in_units(linked)} linked, {_in_units(copied)} copied -> {folder.name}")
    _check_space(folder, copied)
    counts: Counter[Way] = Counter()
    for source, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        counts[_bring(source, target, ways[states[source].st_dev])] += 1
    return dict(counts)


def _ways_into(folder: Path, states: Mapping[Path, os.stat_result]) -> dict[int, Way]:
    """Return how files come into `folder`, by the device they lie on; one of each device is tried."""
    ways: dict[int, Way] = {}
    for source, state in states.items():
        if state.st_dev not in ways:
            trial = folder / ".trial.part"
            try:
                ways[state.st_dev] = _bring(source, trial, "reflink")
            finally:
                trial.unlink(missing_ok=True)
    return ways


def _check_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if num_bytes and free < num_bytes + _SPARE_BYTES:
        wanted = f"{_in_units(num_bytes)} must be copied there and {_in_units(_SPARE_BYTES)} stay free"
        what = f"{wanted}, but only {_in_units(free)} are"
        fix = "free some space, or make the project on the disk of the pictures, where they can be linked"
        raise StorageError(str(folder), what, fix)


def _bring(source: Path, target: Path, way: Way) -> Way:
    """Bring a file to `target`, which is new, by `way` or by the next that works; return the one that did.

    A link is followed: the file it leads to is brought.
    """
    if source.is_symlink():
        source = source.resolve()
    if way == "reflink" and _reflink(source, target):
        return "reflink"
    if way != "copy" and _hardlink(source, target):
        return "hardlink"
    try:
        shutil.copyfile(source, target)
    except PermissionError as error:
        raise DataError(str(source), "cannot be read", "make it readable for you") from error
    return "copy"


def _in_units(num_bytes: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(num_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _reflink(source: Path, target: Path) -> bool:
    """Share the bytes until one of the files is written; few file systems can (Btrfs, XFS, bcachefs)."""
    try:
        with source.open("rb") as read, target.open("xb") as written:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
    except OSError:  # also where `source` cannot be read: the copy says so
        target.unlink(missing_ok=True)
        return False
    return True


def _hardlink(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another disk, no right to, too many names, or a file system without
        return False
    return True
