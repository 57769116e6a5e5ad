"""Read a VIA file of any kind."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from cnnpipe.annotations import found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.annotations_csv import read_annotations_csv
from cnnpipe.formats.via.annotations_json import read_annotations
from cnnpipe.formats.via.attributes_json import read_attributes
from cnnpipe.formats.via.coco_json import read_coco
from cnnpipe.formats.via.decode import decode_members, is_json, mend_surrogates, refuse_dense, to_utf8
from cnnpipe.formats.via.detect import detect_json_kind, detect_text_kind
from cnnpipe.formats.via.project_json import read_project
from cnnpipe.formats.via.records import Kind, ViaFile
from cnnpipe.formats.via.url_list import read_url_list
from cnnpipe.formats.via.via3_csv import read_via3_csv
from cnnpipe.formats.via.via3_project import read_via3_project

READERS: Final[Mapping[Kind, Callable[..., ViaFile]]] = MappingProxyType(
    {
        "annotations-json": read_annotations,
        "project-json": read_project,
        "attributes-json": read_attributes,
        "annotations-csv": read_annotations_csv,
        "coco-json": read_coco,
        "via3-project": read_via3_project,
        "via3-csv": read_via3_csv,
        "url-list": read_url_list,
    }
)
_FIX: Final = (
    "name a file that VIA wrote: exported annotations (JSON, CSV, COCO) or a saved project; "
    "to make one, open your work in VIA and save the project"
)


def read_via(path: Path, *, where: str) -> ViaFile:
    """Return what the VIA file at `path` holds; its kind is told by its content.

    Args:
        path: the file.
        where: its name in findings and errors, e.g. its path below the raw folder.

    Raises:
        AnnotationError: missing, cut off, or not VIA.
    """
    return parse_via(_read(path, where), where=where)


def parse_via(content: bytes, *, where: str) -> ViaFile:
    """Return what a VIA file with this content holds.

    Raises:
        AnnotationError: cut off, or not VIA.
    """
    with _no_garbage_collection():
        return _parse(to_utf8(content, where=where), where)


def _parse(text: bytes, where: str) -> ViaFile:
    if not text.strip():
        raise AnnotationError(where, "is empty", _FIX)
    if not is_json(text):
        return _reader(detect_text_kind(text.decode()), where)(text, where=where)
    refuse_dense(text, where=where)
    text, num_halves = mend_surrogates(text)
    file = _reader(_json_kind(text, where), where)(text, where=where)
    if not num_halves:
        return file
    what = f"{num_halves} times half of a surrogate pair stands in a text; it is read as \ufffd"
    finding = found("file-repaired", where, what, "type these texts again in VIA")
    return msgspec.structs.replace(file, findings=(*file.findings, finding))


def _json_kind(text: bytes, where: str) -> Kind | None:
    members = decode_members(text, where=where)
    return None if members is None else detect_json_kind(members)


def _reader(kind: Kind | None, where: str) -> Callable[..., ViaFile]:
    if kind is None:
        raise AnnotationError(where, "is not a VIA file", _FIX)
    return READERS[kind]


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
