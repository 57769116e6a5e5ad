"""Files are written whole or not at all, and read with an error that names them."""

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cnnpipe.errors import DataError

Record = TypeVar("Record")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`, whole: a reader sees the old file or the new one, never a part."""
    write_by(path, lambda part: part.write_bytes(content))


def write_by(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a new file beside `path`, which then takes its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        write(part)
        part.replace(path)
    except OSError as error:  # e.g. the disk is full: what is there already would keep it so
        part.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # a write does not say of which file
        raise


def write_text(path: Path, content: str) -> None:
    """Write `content` as UTF-8, whole."""
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys and a final newline."""
    encoded = msgspec.json.encode(value, order="sorted")
    write_bytes(path, msgspec.json.format(encoded, indent=2) + b"\n")


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    """Write one JSON object per line, whole, in the order given; fields in the record's order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    encoder = msgspec.json.Encoder()
    with part.open("wb") as file:
        file.writelines(encoder.encode(record) + b"\n" for record in records)
    part.replace(path)


def keep_newest(folder: Path, number: int) -> None:
    """Remove the JSON files of `folder` but the newest `number`."""
    for path in sorted(folder.glob("*.json"), key=_age_s)[number:]:
        path.unlink(missing_ok=True)


def read_json(path: Path, kind: type[Record]) -> Record:
    """Return the JSON file as a value of `kind`.

    Raises:
        DataError: the file is missing, cut off or of another form.
    """
    try:
        return msgspec.json.decode(_read(path), type=kind)
    except msgspec.DecodeError as error:
        raise DataError(str(path), str(error), "run the stage that writes it again") from error


def read_jsonl(path: Path, kind: type[Record]) -> list[Record]:
    """Return every line of the file as a value of `kind`; blank lines are passed over.

    Raises:
        DataError: the file is missing, or a line is cut off or of another form.
    """
    decoder = msgspec.json.Decoder(kind)
    records = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            fix = "restore the file, or run the stage that writes it again"
            raise DataError(f"{path}:{number}", str(error), fix) from error
    return records


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hex, without holding the file in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes the place of `path` only when the block succeeds."""
    part = path.with_name(f"{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    if path.exists():
        shutil.rmtree(path)
    part.replace(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(str(path), "file not found", "run the stage that writes it") from error


def _age_s(path: Path) -> float:
    """Return the seconds since the last change; of a file that is gone meanwhile, no end of them."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
