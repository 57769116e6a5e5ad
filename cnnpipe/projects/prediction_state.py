"""The folder of a prediction: one process at a time, one model and setting, and how far it has come."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe import files, locks
from cnnpipe.errors import DataError, ParamsError, StorageError
from cnnpipe.formats.picture_files import PictureFiles
from cnnpipe.projects.prediction_records import (
    DRAWN_FOLDER,
    LINES_FILE,
    LOCK_FILE,
    PART_FILE,
    RUN_FILE,
    PicturePrediction,
    PredictRun,
    shown_name,
)

_ANOTHER: Final = "give another --out, or delete that folder to predict anew"


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Make the folder, and run the block as the only process that predicts into it.

    Raises:
        ParamsError: it is a file.
        StorageError: it cannot be made.
        BusyError: another process predicts into it now.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ParamsError(str(out), "is a file, not a folder", "give another --out") from error
    except OSError as error:
        raise StorageError(str(out), f"cannot be made: {error.strerror}", "give another --out") from error
    fix = "wait for its end, or give another --out"
    with locks.only_one(out / LOCK_FILE, where=str(out), does="predicts into it", fix=fix):
        yield


def take_up(out: Path, run: PredictRun) -> PredictRun:
    """Return the run that the folder holds, or begin this one in a folder that holds none.

    Raises:
        DataError: it holds predictions of another model, other settings or other pictures, or of nobody knows
            what.
    """
    path = out / RUN_FILE
    if not path.exists():
        for name in (LINES_FILE, PART_FILE, DRAWN_FOLDER):
            if (out / name).exists():
                what = f"is there, and no {RUN_FILE} that says what it is"
                raise DataError(str(out / name), what, _ANOTHER)
        files.write_json(path, run)
        return run
    try:
        former = files.read_json(path, PredictRun)
    except DataError as error:
        raise DataError(str(path), error.what, _ANOTHER) from error
    for name, what in (
        ("model", "another model"),
        ("settings", "other settings"),
        ("root", "other pictures"),
    ):
        old, new = getattr(former, name), getattr(run, name)
        if old != new:
            raise DataError(str(out), f"holds predictions of {what}: {_difference(old, new)}", _ANOTHER)
    return former


def resume(out: Path, pictures: PictureFiles) -> int:
    """Return how many of the pictures, from the first on, need not be predicted again.

    Lines count up to the first that was not written whole, is of another picture than the one in its place
    now, or of a file whose size changed or that was written to since; the rest is cut off. Afterwards
    predictions.jsonl.part holds the lines that count, and predictions.jsonl is gone until all are there.
    """
    part, finished = out / PART_FILE, out / LINES_FILE
    if finished.exists() and not part.exists():
        finished.replace(part)
    if not part.exists():
        return 0
    num_lines, num_bytes, written_ns = 0, 0, part.stat().st_mtime_ns
    decoder = msgspec.json.Decoder(PicturePrediction)
    with part.open("r+b") as file:
        for line, name in zip(file, pictures.names, strict=False):
            try:
                former = decoder.decode(line)
            except msgspec.DecodeError:
                break
            is_whole = line.endswith(b"\n") and former.picture == shown_name(name)
            if not (is_whole and _is_unchanged(pictures.root / name, former, written_ns)):
                break
            num_lines, num_bytes = num_lines + 1, num_bytes + len(line)
        file.truncate(num_bytes)
    return num_lines


def check_own(path: Path, run: PredictRun) -> None:
    """Refuse to write over a file that is not just as this run has left it.

    Raises:
        DataError: somebody else wrote it, or changed it.
    """
    if path.is_dir():
        raise ParamsError(str(path), "is a folder", "name the file of the VIA project, e.g. project.json")
    if path.exists() and files.sha256_of_file(path) not in run.via.get(str(path), ()):
        what = "was not written by this prediction, or was changed since; it is left as it is"
        raise DataError(str(path), what, "give --via another name, or move that file away")


def note_written(out: Path, run: PredictRun, path: Path, content: Path) -> None:
    """Note in run.json what is about to be put at `path`, so that it is known for ours afterwards."""
    written = [*run.via.get(str(path), ()), files.sha256_of_file(content)]
    via = {**run.via, str(path): sorted(set(written))}
    files.write_json(out / RUN_FILE, msgspec.structs.replace(run, via=via))


def drawn_path(out: Path, name: str) -> Path:
    """Return where a picture is drawn: at its own path below drawn/, with .jpg behind any other ending."""
    path = Path(name)
    drawn = path.name if path.suffix.lower() in (".jpg", ".jpeg") else f"{path.name}.jpg"
    if len(os.fsencode(drawn)) > _LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        drawn = f"{os.fsencode(path.name)[: _LONGEST_NAME - 30].decode(errors='ignore')}~{digest}.jpg"
    return out / DRAWN_FOLDER / path.parent / drawn


_LONGEST_NAME: Final = 245  # bytes; file systems take 255, and ".part" comes behind it while it is written


def _is_unchanged(path: Path, former: PicturePrediction, written_ns: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return former.size_bytes is None
    return found.st_size == former.size_bytes and found.st_mtime_ns <= written_ns


def _difference(old: object, new: object) -> str:
    if not isinstance(old, msgspec.Struct):
        return f"{old}, not {new}"
    pairs = ((field, getattr(old, field), getattr(new, field)) for field in old.__struct_fields__)
    return ", ".join(f"{field} {_short(was)}, not {_short(now)}" for field, was, now in pairs if was != now)


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else str(value)
