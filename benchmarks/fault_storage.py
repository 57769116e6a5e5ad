"""The DVC remote goes away, or the disk is full."""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.fault_looks import Row, look_at_code, look_at_end, look_at_next, look_for_orphans, statuses
from benchmarks.fault_site import DVC, HIT_AT, Place, Site

_DISK_MB: Final = 60
_BLOCK: Final = bytes(1 << 16)


def remote_gone(site: Site) -> list[Row]:
    """The DVC remote goes away in a training, and is back for the next run."""
    place = site.place("remote-gone")
    row = Row("the DVC remote is gone", "its folder is renamed at epoch 30, and back after the flow")
    flow = place.flow()
    flow.until_epoch(HIT_AT)
    away = place.remote.with_name("away")
    place.remote.rename(away)
    look_at_code(row, flow, 7, says="error: .*DVC remote folder")
    ran = [line for line in flow.said.splitlines() if "  ran  " in line]
    row.see("stages that ran all the same", len(ran))
    row.promise(len(ran) >= 4, f"stages were not run: {flow.said[-800:]}")
    away.rename(place.remote)
    look_at_next(row, place.flow())
    told = place.run(*DVC, "status", "--cloud").said
    row.see("remote after the next run", " ".join(told.split())[:120])
    row.promise("in sync" in told, f"the next run did not push all: {told}")
    _look_at_restored(row, place)
    look_at_end(row, place)
    return [row]


def disk_full(site: Site) -> list[Row]:
    """The disk with the project is full in a training."""
    row = Row("the disk is full", f"a file fills the disk of {_DISK_MB} MB with the project at epoch 30")
    folder = site.folder / "disk-full"
    folder.mkdir()
    try:
        with _disk(folder):
            return [_on_full_disk(site.place("disk-full"), row)]
    except PermissionError as error:
        row.skipped = f"only root can mount a small disk: {error}"
        return [row]


def _on_full_disk(place: Place, row: Row) -> Row:
    flow = place.flow()
    flow.until_epoch(HIT_AT)
    filler = place.folder / "filler"
    _fill(filler)
    with row.timed("until the flow has ended, after its two retries"):
        look_at_code(row, flow, 7, says="No space left on device")
    said = [line for line in flow.said.splitlines() if line.startswith(("error: ", "  fix: "))]
    row.see("said", " ".join(" ".join(said).split())[:300].replace(str(place.folder), "…"))
    row.see("MLflow's run then", ", ".join(statuses(place)))
    look_for_orphans(row, place)
    filler.unlink()
    look_at_next(row, place.flow(), goes_on_after=HIT_AT - 1)
    look_at_end(row, place)
    return row


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Mount a small disk.

    Raises:
        PermissionError: this user may not.
    """
    size = f"size={_DISK_MB}m"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PermissionError(errno.EPERM, done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Write a file until no byte is free."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(_BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def _look_at_restored(row: Row, place: Place) -> None:
    """Promise that another clone gets every result from the remote, and computes none."""
    clone = place.folder / "clone"
    place.run("git", "clone", "--quiet", str(place.project), str(clone))
    shutil.copyfile(place.project / "dvc.lock", clone / "dvc.lock")
    pulled = place.run(*DVC, "pull", cwd=clone)
    row.promise(pulled.popen.returncode == 0, f"another clone cannot pull all: {pulled.said[-600:]}")
    is_same = (clone / "models/lenet/weights.safetensors").exists()
    row.see("a fresh clone pulls all of it", "yes" if is_same else "no")
