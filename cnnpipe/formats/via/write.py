"""Write a VIA 2 project that VIA opens without complaint, e.g. with what a detector found.

Source: via-2.x.y/src/via.js (2.0.11), `project_save_confirmed` and `project_open_parse_json_file`: what VIA
saves, and what it needs to open a project again. It checks little, and stops half way at what it does not
expect.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from cnnpipe.errors import DataError
from cnnpipe.files import write_bytes
from cnnpipe.formats.via.regions import parse_shape
from cnnpipe.geometry.shapes import Shape

_FORMAT_VERSION = "2.0.10"  # that of 2.0.10, 2.0.11 and 2.0.12 alike


class WrittenRegion(msgspec.Struct, frozen=True, kw_only=True):
    """One region: a shape in pixels of the upright picture, and its values."""

    shape: Shape
    attributes: Mapping[str, Any]


class WrittenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One picture; without regions it is shown all the same."""

    filename: str  # VIA looks for it at default_filepath + filename
    size_bytes: int  # of the file; -1: not known
    regions: tuple[WrittenRegion, ...]
    file_attributes: Mapping[str, Any]


class WrittenAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """What the project declares of an attribute, so that VIA offers it."""

    type: Literal["text", "dropdown", "radio", "checkbox"]
    description: str
    options: Mapping[str, str]  # option, which is the value, to what people see ("": the option); {} for text


def write_project(  # noqa: PLR0913 (the parts of a project)
    path: Path,
    entries: Iterable[WrittenEntry],
    *,
    name: str,
    region_attributes: Mapping[str, WrittenAttribute],
    file_attributes: Mapping[str, WrittenAttribute],
    default_filepath: str,
) -> None:
    """Write a project for VIA 2, whole; VIA lists the pictures in the order of `entries`.

    Args:
        path: the file.
        entries: one per picture; file name and size together must differ.
        name: what VIA calls the project.
        region_attributes: by name; regions are labelled with the first.
        file_attributes: by name.
        default_filepath: the folder of the pictures as the browser sees it, "" where the user chooses it.

    Raises:
        DataError: two entries are the same picture, or a shape is one that no reader would accept.
    """
    metadata: dict[str, Any] = {}
    for entry in entries:
        key = f"{entry.filename}{entry.size_bytes}"
        if key in metadata:
            raise DataError(str(path), f"{entry.filename} stands in it twice", "name each picture once")
        metadata[key] = _entry_value(entry)
    value = {
        # an unknown group here stops VIA
        "_via_settings": {
            "ui": _labelled_by(next(iter(region_attributes), None)),
            "core": {"buffer_size": 18, "filepath": {}, "default_filepath": _with_slash(default_filepath)},
            "project": {"name": name},
        },
        "_via_img_metadata": metadata,
        "_via_attributes": {
            "region": {key: _declaration(each) for key, each in region_attributes.items()},
            "file": {key: _declaration(each) for key, each in file_attributes.items()},
        },
        "_via_data_format_version": _FORMAT_VERSION,
        # exactly the keys: VIA hides a picture that is not listed, and stops at one that is only listed
        "_via_image_id_list": list(metadata),
    }
    write_bytes(path, msgspec.json.encode(value))


def _entry_value(entry: WrittenEntry) -> dict[str, Any]:
    return {
        "filename": entry.filename,
        "size": entry.size_bytes,
        "regions": [_region_value(region, entry.filename) for region in entry.regions],
        "file_attributes": entry.file_attributes,
    }


def _region_value(region: WrittenRegion, where: str) -> dict[str, Any]:
    shape = msgspec.to_builtins(region.shape)
    try:
        parse_shape(shape)
    except ValueError as error:
        raise DataError(where, f"a region cannot be written: {error}", "leave it out") from error
    return {"shape_attributes": shape, "region_attributes": region.attributes}


def _labelled_by(attribute: str | None) -> dict[str, Any]:
    return {} if attribute is None else {"image": {"region_label": attribute, "region_color": attribute}}


def _with_slash(folder: str) -> str:
    """VIA puts folder and file name together without anything between them."""
    return folder if folder == "" or folder.endswith(("/", "\\")) else f"{folder}/"


def _declaration(attribute: WrittenAttribute) -> dict[str, Any]:
    about = {"type": attribute.type, "description": attribute.description}
    if attribute.type == "text":
        return {**about, "default_value": ""}
    # without default_options VIA stops when a picture is added
    return {**about, "options": attribute.options, "default_options": {}}
