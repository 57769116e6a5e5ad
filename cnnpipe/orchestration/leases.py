"""One training per device of a host: a GPU, or where there is none a slot of the processors.

A lease is a locked file (see `locks`), so it ends with its holder whatever ends that. Whoever waits for a
device stands in line: one waits for the devices, the others wait to be that one, and newcomers cannot
overtake it.
"""

import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, TextIO, TypeVar

import msgspec

from cnnpipe import locks
from cnnpipe.errors import ParamsError, StorageError
from cnnpipe.orchestration.children import StoppedError
from cnnpipe.orchestration.gpus import visible_gpus
from cnnpipe.processors import processor_quota, usable_processors

_FIRST_POLL_S: Final = 0.05
_POLL_S: Final = 0.2

Found = TypeVar("Found")


class Device(msgspec.Struct, frozen=True):
    """What one training at a time may use."""

    name: str  # "gpu GPU-…" or "slot 2"
    environment: Mapping[str, str]  # of its process; a process in a slot sees no GPU


class Lease(msgspec.Struct, frozen=True):
    """A device that is held."""

    name: str
    environment: Mapping[str, str]
    fd: int  # of the lock: a process that is given it (`pass_fds`) holds the lease as long as it lives


def devices(*, threads: int, wanted: Literal["auto", "cpu", "cuda"] = "auto") -> tuple[Device, ...]:
    """Return the devices of this host, at least one.

    GPUs are those of CUDA_VISIBLE_DEVICES, else those that nvidia-smi names. Slots are as many as
    CNNPIPE_SLOTS says, else as trainings fit on the processors that may be used.

    Args:
        threads: of one training.
        wanted: train.device of params; cpu: slots, even if there are GPUs.

    Raises:
        ParamsError: one of these variables is wrong.
    """
    gpus = () if wanted == "cpu" else visible_gpus()
    if gpus:
        return tuple(Device(f"gpu {gpu}", {"CUDA_VISIBLE_DEVICES": gpu}) for gpu in gpus)
    numbers = range(1, _number_of_slots(threads) + 1)
    return tuple(Device(f"slot {number}", {"CUDA_VISIBLE_DEVICES": ""}) for number in numbers)


@contextmanager
def leased(
    devices: Sequence[Device],
    *,
    holder: str,
    is_stopped: Callable[[], bool],
    on_wait: Callable[[str], None],
) -> Iterator[Lease]:
    """Run the block while it holds one of `devices`, after waiting for it.

    Afterwards the device is free, unless a process that was given the lease's file still lives.

    Args:
        devices: at least one.
        holder: who asks, for others that wait, e.g. "train@lenet of shoes".
        is_stopped: asked several times a second while waiting.
        on_wait: told who holds the devices, first and at each change.

    Raises:
        StoppedError: `is_stopped` said so.
        StorageError: the folder of leases cannot be written to.
    """
    folder = leases_dir()
    told: str | None = None

    def wait() -> None:
        nonlocal told
        if is_stopped():
            raise StoppedError("a device", "no longer waited for, the flow is stopping", "run it again")
        if told is None:  # another may just be taking one of several that are free
            told = ""
            time.sleep(_FIRST_POLL_S)
            return
        message = _who_holds(devices, folder)
        if message != told:
            on_wait(message)
            told = message
        time.sleep(_POLL_S)

    with _until_had(lambda: _take(_line_file(devices, folder), holder), wait):
        device, lock = _until_had(lambda: _take_one(devices, folder, holder), wait)
    with lock:
        yield Lease(device.name, device.environment, lock.fileno())


def leases_dir() -> Path:
    """Return the folder of this host's and user's leases; CNNPIPE_LEASES moves it.

    The host is in its name, for a home may be shared by hosts.
    """
    if given := os.environ.get("CNNPIPE_LEASES"):
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "cnnpipe" / "leases" / _file_name(platform.node() or "host")


def _number_of_slots(threads: int) -> int:
    given = os.environ.get("CNNPIPE_SLOTS", "").strip()
    if not given:
        usable = usable_processors()
        return max(1, int(min(usable, processor_quota() or usable) // threads))
    if not (given.isascii() and given.isdecimal()) or int(given) < 1:
        fix = "set how many trainings run at the same time on this host: 1 or more"
        raise ParamsError("CNNPIPE_SLOTS", f"is {given!r}, no positive whole number", fix)
    return int(given)


def _until_had(attempt: Callable[[], Found | None], wait: Callable[[], None]) -> Found:
    while (found := attempt()) is None:
        wait()
    return found


def _take_one(devices: Sequence[Device], folder: Path, holder: str) -> tuple[Device, TextIO] | None:
    for device in devices:
        lock = _take(_lock_file(device, folder), holder)
        if lock is not None:
            return device, lock
    return None


def _take(path: Path, holder: str) -> TextIO | None:
    try:
        return locks.take(path, holder)
    except StorageError as error:
        fix = "free some space, or let CNNPIPE_LEASES name a folder of this host that you may write to"
        raise StorageError(error.where, error.what, fix) from error


def _who_holds(devices: Sequence[Device], folder: Path) -> str:
    held = (f"{each.name} is held by {locks.holder_of(_lock_file(each, folder))}" for each in devices)
    return f"waiting for a device: {', '.join(held)}"


def _lock_file(device: Device, folder: Path) -> Path:
    return folder / f"{_file_name(device.name)}.lock"


def _line_file(devices: Sequence[Device], folder: Path) -> Path:
    """Return the lock of the line; who may use other devices stands in another line."""
    names = "\n".join(sorted(device.name for device in devices))
    return folder / f"line-{sha256(names.encode()).hexdigest()[:12]}.lock"


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]", "-", text)
