"""Read a VIA file of any kind."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.annotations_json import read_annotations
from cnnpipe.formats.via.decode import decode_json, to_utf8
from cnnpipe.formats.via.detect import detect_json_kind, detect_text_kind
from cnnpipe.formats.via.project_json import read_project
from cnnpipe.formats.via.records import Kind, ViaFile

JSON_READERS: Final[Mapping[Kind, Callable[..., ViaFile]]] = MappingProxyType(
    {
        "annotations-json": read_annotations,
        "project-json": read_project,
    }
)

_EXPORT: Final = "open it in VIA 2 and export the annotations as JSON, or save the project"
# Kinds that are recognised, but not read: what to call them, and the way out.
_NOT_READ: Final[Mapping[Kind, tuple[str, str]]] = MappingProxyType(
    {
        "attributes-json": ("the attributes of a VIA project, without pictures", _EXPORT),
        "annotations-csv": ("annotations in CSV, which is not read yet", _EXPORT),
        "coco-json": ("a COCO file, which is not read yet", _EXPORT),
        "via3-project": ("a project of VIA 3, which is not read yet", "export it for VIA 2 and " + _EXPORT),
        "via3-csv": (
            "annotations of VIA 3 in CSV, which are not read yet",
            "annotate in VIA 2 and " + _EXPORT,
        ),
        "url-list": ("a list of addresses, without annotations", "annotate in VIA 2 and " + _EXPORT),
    }
)


def read_via(path: Path, *, where: str) -> ViaFile:
    """Return what the VIA file at `path` holds; its kind is told by its content.

    Args:
        path: the file.
        where: its name in findings and errors, e.g. its path below the raw folder.

    Raises:
        AnnotationError: missing, cut off, not VIA, or of a kind that is not read.
    """
    return parse_via(_read(path, where), where=where)


def parse_via(content: bytes, *, where: str) -> ViaFile:
    """Return what a VIA file with this content holds.

    Raises:
        AnnotationError: cut off, not VIA, or of a kind that is not read.
    """
    with _no_garbage_collection():
        return _parse(to_utf8(content, where=where), where)


def _parse(text: bytes, where: str) -> ViaFile:
    value: Any = None
    if text.lstrip()[:1] in (b"{", b"["):
        value = decode_json(text, where=where)
        kind = detect_json_kind(value)
    else:
        kind = detect_text_kind(text.decode())
    if kind is not None and kind in JSON_READERS:
        return JSON_READERS[kind](value, where=where)
    raise _refusal(kind, text, where)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause the collector: a large file makes millions of objects, none of them garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        fix = "check its name: in --annotations, or in ingest.annotations of params.yaml"
        raise AnnotationError(where, what, fix) from error


def _refusal(kind: Kind | None, text: bytes, where: str) -> AnnotationError:
    if kind is not None:
        what, fix = _NOT_READ[kind]
        return AnnotationError(where, f"holds {what}", fix)
    what = "is not a VIA file" if text.strip() else "is empty"
    return AnnotationError(where, what, "name a VIA file instead: " + _EXPORT)
