"""Pictures decoded ahead by threads, in batches that bound what is held in memory."""

import os
import stat
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from cnnpipe import files
from cnnpipe.errors import DataError
from cnnpipe.formats.pictures import read_picture

# With two threads the network seldom waits for a picture; more would hold more pictures at once. Neither
# changes a result.
_NUM_THREADS: Final = min(2, os.cpu_count() or 1)
_AHEAD: Final = _NUM_THREADS + 1  # pictures
BATCH_SIZE: Final = 16  # pictures
_BATCH_BYTES: Final = 32_000_000  # of pixels; a batch ends with the picture that goes beyond


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How pictures are read."""

    root: Path
    channels: Literal[1, 3]
    max_pixels: int  # a larger picture is refused before it is decoded


class LoadedPicture(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One picture, or why there is none."""

    name: str  # its path below the root
    pixels: NDArray[np.uint8] | None  # (H, W, C), upright
    size_bytes: int | None = None  # of the file; None: there is none
    sha256: str | None = None  # of the file
    error: str | None = None

    @property
    def num_bytes(self) -> int:
        return 0 if self.pixels is None else self.pixels.nbytes


def picture_batches(names: Iterable[str], reading: Reading) -> Generator[list[LoadedPicture], None, None]:
    """Yield the pictures in their order, some of them at a time; close it to end the threads.

    A picture that cannot be read takes its place in a batch, with the reason.

    Args:
        names: paths below the root.
        reading: how they are read.
    """
    batch: list[LoadedPicture] = []
    for picture in _ahead(names, reading):
        batch.append(picture)
        if len(batch) == BATCH_SIZE or sum(each.num_bytes for each in batch) >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def load_picture(name: str, reading: Reading) -> LoadedPicture:
    """Return one picture; whatever is wrong with it is said in it."""
    path = reading.root / name
    try:
        found = path.stat()
    except OSError as error:
        return LoadedPicture(name=name, pixels=None, error=_unreadable(error))
    try:
        _check(name, found)
        pixels = read_picture(path, channels=reading.channels, max_pixels=reading.max_pixels)
        sha256 = files.sha256_of_file(path)
    except (OSError, DataError) as error:
        what = error.what if isinstance(error, DataError) else _unreadable(error)
        return LoadedPicture(name=name, pixels=None, size_bytes=found.st_size, error=what)
    return LoadedPicture(name=name, pixels=pixels, size_bytes=found.st_size, sha256=sha256)


def _check(name: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):  # to read a pipe or a device might never end
        raise DataError(name, "is not a file", "name a picture")
    try:
        name.encode()
    except UnicodeEncodeError as error:  # neither JSON nor VIA could say which picture it is
        raise DataError(name, "its name is not Unicode", "rename it") from error


def _unreadable(error: OSError) -> str:
    return "file not found" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"


def _ahead(names: Iterable[str], reading: Reading) -> Iterator[LoadedPicture]:
    with ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="decode") as pool:
        waiting: deque[Future[LoadedPicture]] = deque()
        try:
            for name in names:
                waiting.append(pool.submit(load_picture, name, reading))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
