"""Write a VIA 3 project with one view for each picture.

Source: via-3.x.y/src/js (3.0.10): `_via_data.js` (`_init_default_project`, `project_load_json`,
`project_import_via2_json`), `_via_metadata.js`, `_via_attribute.js`, `_via_file.js`,
`_via_util.js` (`_via_util_infer_file_loc_from_filename`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cnnpipe.errors import DataError
from cnnpipe.formats.via.losses import NO_SHAPE, byte_size_loss, pixel_size_loss
from cnnpipe.formats.via.met_attributes import declare_met
from cnnpipe.formats.via.records import DeclaredAttribute, Loss, Part, ViaEntry, ViaFile
from cnnpipe.formats.via.via3_values import via3_shape, via3_value
from cnnpipe.formats.via.write_project import settings_text, with_slash
from cnnpipe.formats.via.written_entries import via_key

_TYPES: Final[Mapping[str, int]] = {"text": 1, "checkbox": 2, "radio": 3, "dropdown": 4, "image": 5}
_ANCHORS: Final[Mapping[Part, str]] = {"region": "FILE1_Z0_XY1", "file": "FILE1_Z0_XY0"}
_PICTURE: Final = 2  # type of a file
_LOCAL, _ADDRESS, _PATH = 1, 2, 3  # where a file is
_HELD_SETTINGS: Final = {"project": ("name",)}

AttributeIds = Mapping[tuple[Part, str], str]


def write_via3(file: ViaFile, *, default_filepath: str = "", name: str = "") -> tuple[bytes, list[Loss]]:
    """Return the project, and what it cannot hold.

    Ids count from 1 in the order of the file, and nothing depends on a clock: the same file gives the same
    bytes. Attributes that no one declared are declared by the rule of `declare_met`.

    Args:
        file: its image_order is the order of the views.
        default_filepath: the folder of the pictures as the browser sees it, which becomes part of what a
            reader takes for their names; "": VIA 3 asks for the files of plain names. That of the settings
            is not used, for it is mostly a folder of another machine.
        name: of the project; "": as in the settings.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    attributes = [
        (part, attribute, declared)
        for part, of_part in declare_met(file).items()
        for attribute, declared in of_part.items()
    ]
    ids = {(part, attribute): str(number) for number, (part, attribute, _) in enumerate(attributes, start=1)}
    types = {(part, attribute): declared.type for part, attribute, declared in attributes}
    vids = [str(number) for number in range(1, len(file.entries) + 1)]
    metadata: list[bytes] = []
    losses = list(_file_losses(file, attributes))
    for vid, entry in zip(vids, file.entries, strict=True):
        rows, lost = _metadata(entry, vid, ids, types)
        metadata += rows
        losses += lost
    folder = with_slash(default_filepath)
    parts = {
        "project": _encode(_project(file, vids, name)),
        "config": _encode(_config(folder)),
        "attribute": _encode(
            {ids[part, each]: _attribute(part, each, declared) for part, each, declared in attributes}
        ),
        "file": _encode(
            {vid: _file(entry, vid, folder) for vid, entry in zip(vids, file.entries, strict=True)}
        ),
        "metadata": b"{" + b",".join(metadata) + b"}",
        "view": _encode({vid: {"fid_list": [vid]} for vid in vids}),
    }
    content = b"{" + b",".join(_encode(part) + b":" + value for part, value in parts.items()) + b"}"
    return content, losses


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _project(file: ViaFile, vids: list[str], name: str) -> dict[str, Any]:
    vid_of: dict[str, list[str]] = {}
    for entry, vid in zip(file.entries, vids, strict=True):
        vid_of.setdefault(entry.key, []).append(vid)
    ordered = [vid for key in file.image_order for vid in vid_of.get(key, ())]
    return {
        # these three say: not stored on a server
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": name or settings_text(file.settings, "project", "name") or "Unnamed VIA Project",
        "data_format_version": "3.1.1",
        "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        "created": 0,  # not the time of writing: the same file gives the same bytes
        "vid_list": list(dict.fromkeys([*ordered, *vids])),
    }


def _config(folder: str) -> dict[str, Any]:
    return {
        "file": {"loc_prefix": {"1": "", "2": "", "3": folder, "4": ""}},
        "ui": {
            "file_content_align": "center",
            "file_metadata_editor_visible": True,
            "spatial_metadata_editor_visible": True,
            "spatial_region_label_attribute_id": "",
            "gtimeline_visible_row_count": "4",
        },
    }


def _attribute(part: Part, name: str, declared: DeclaredAttribute) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": _ANCHORS[part],
        "type": _TYPES.get(declared.type, _TYPES["text"]),
        "desc": declared.description,
        "options": declared.options,
        "default_option_id": (
            declared.default_value if declared.type == "text" else ",".join(_default_options(declared))
        ),
    }


def _file(entry: ViaEntry, fid: str, folder: str) -> dict[str, Any]:
    name = entry.filename
    return {"fid": fid, "fname": name, "type": _PICTURE, "loc": _place(name, folder), "src": name}


def _place(filename: str, folder: str) -> int:
    if filename.startswith(("http://", "https://")):
        return _ADDRESS
    return _PATH if folder or "/" in filename else _LOCAL


def _metadata(
    entry: ViaEntry, vid: str, ids: AttributeIds, types: Mapping[tuple[Part, str], str]
) -> tuple[list[bytes], list[Loss]]:
    rows: list[dict[str, Any]] = []
    losses: list[Loss] = [*byte_size_loss(entry), *pixel_size_loss(entry)]
    for region in entry.regions:
        if region.shape is None:
            losses.append(Loss(what=NO_SHAPE, where=entry.filename, region=region.number))
            continue
        try:
            xy, lost_shape = via3_shape(region.shape)
        except ValueError as error:
            fix = "leave it out"
            raise DataError(entry.filename, f"a region cannot be written: {error}", fix) from error
        values, lost = _values("region", region.attributes, ids, types)
        rows.append(_row(vid, xy, values))
        whats = [*([(lost_shape, "")] if lost_shape else []), *lost]
        losses += [
            Loss(what=what, where=entry.filename, region=region.number, detail=detail)
            for what, detail in whats
        ]
    if entry.file_attributes:
        values, lost = _values("file", entry.file_attributes, ids, types)
        rows.append(_row(vid, [], values))
        losses += [Loss(what=what, where=entry.filename, detail=detail) for what, detail in lost]
    mids = [f"{vid}_{number:06x}" for number in range(1, len(rows) + 1)]
    return [_encode(mid) + b":" + _encode(row) for mid, row in zip(mids, rows, strict=True)], losses


def _row(vid: str, xy: list[float], values: dict[str, str]) -> dict[str, Any]:
    return {"vid": vid, "flg": 0, "z": [], "xy": xy, "av": values}


def _values(
    part: Part, attributes: Mapping[str, Any], ids: AttributeIds, types: Mapping[tuple[Part, str], str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the values by the ids of their attributes, and what each loses: in words, and its name."""
    values, losses = {}, []
    for name, value in attributes.items():
        values[ids[part, name]], lost = via3_value(value, types[part, name])
        if lost:
            losses.append((lost, name))
    return values, losses


def _default_options(declared: DeclaredAttribute) -> list[str]:
    return [option for option, ticked in declared.default_options.items() if ticked]


def _file_losses(file: ViaFile, attributes: list[tuple[Part, str, DeclaredAttribute]]) -> Iterator[Loss]:
    for part, name, declared in attributes:
        where = f"{part} attribute {name!r}"
        if declared.type not in _TYPES:
            what = "type of an attribute that VIA 3 does not know"
            yield Loss(what=what, where="", detail=f"{where}: {declared.type}")
        if declared.default_value and declared.type != "text":
            yield Loss(what="default text of an attribute with options", where="", detail=where)
        if len(_default_options(declared)) < len(declared.default_options):
            yield Loss(what="default option that is set to false", where="", detail=where)
    for group, values in file.settings.items():
        held = _HELD_SETTINGS.get(group, ())
        others = [str(key) for key in values if key not in held] if isinstance(values, Mapping) else [group]
        if others:
            detail = f"{group}: {', '.join(others)}"
            yield Loss(what="settings of the project", where="", detail=detail)
    opaque = sum(entry.key != via_key(entry) for entry in file.entries)
    if opaque:
        yield Loss(what="keys that are not file name and size", where="", detail=f"{opaque} pictures")
