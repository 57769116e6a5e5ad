"""Write a VIA 2 project that VIA opens without complaint.

Source: via-2.x.y/src/via.js (2.0.11), `project_save_confirmed` and `project_open_parse_json_file`: what VIA
saves, and what it needs to open a project again. It checks little, and stops half way at what it does not
expect.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cnnpipe.formats.via.losses import NOT_EXACT
from cnnpipe.formats.via.met_attributes import declare_met
from cnnpipe.formats.via.records import DeclaredAttribute, Loss, ViaFile
from cnnpipe.formats.via.written_entries import VIA_2, encode_entries, held_entry, key_losses, unique_keys
from cnnpipe.formats.via.written_values import is_exact_value, plain_value

_FORMAT_VERSION: Final = "2.0.10"  # that of 2.0.10, 2.0.11 and 2.0.12 alike
# The groups of settings, and the objects in each, that VIA 2 has from its start: any other object stops it.
_GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "ui": frozenset({"image", "image_grid"}),
    "core": frozenset({"filepath"}),
    "project": frozenset(),
}


def write_project(file: ViaFile, *, default_filepath: str = "", name: str = "") -> tuple[bytes, list[Loss]]:
    """Return the project, and what it cannot hold.

    What regions or pictures hold and no one declared is declared by the rule of `declare_met`.

    Args:
        file: its settings are kept as far as VIA knows them; its image_order is the order of the pictures.
        default_filepath: the folder of the pictures as the browser sees it; "": as in the settings.
        name: what VIA calls the project; "": as in the settings.

    Raises:
        DataError: a shape that no VIA could draw.
    """
    keys = unique_keys(file.entries)
    settings, lost_settings = _settings(file.settings, default_filepath=default_filepath, name=name)
    metadata, losses = encode_entries(file.entries, keys, lambda entry: held_entry(entry, VIA_2))
    parts = {
        "_via_settings": _encode(settings),
        "_via_img_metadata": metadata,
        "_via_attributes": _encode(_declarations(file)),
        "_via_data_format_version": _encode(_FORMAT_VERSION),
        "_via_image_id_list": _encode(_order(file, keys)),
    }
    content = b"{" + b",".join(_encode(part) + b":" + value for part, value in parts.items()) + b"}"
    return content, [*lost_settings, *key_losses(file.entries, keys), *losses]


def with_slash(folder: str) -> str:
    """Return the folder with a slash at its end, of its own kind: VIA puts a file name right behind it."""
    if folder == "" or folder.endswith(("/", "\\")):
        return folder
    return f"{folder}\\" if "\\" in folder and "/" not in folder else f"{folder}/"


def settings_text(settings: Mapping[str, Any], group: str, key: str) -> str:
    """Return a text of the settings, e.g. `core`, `default_filepath`; "" where it is none."""
    values = settings.get(group)
    value = values.get(key) if isinstance(values, Mapping) else None
    return value if isinstance(value, str) else ""


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _settings(
    settings: Mapping[str, Any], *, default_filepath: str, name: str
) -> tuple[dict[str, Any], list[Loss]]:
    folder = default_filepath or settings_text(settings, "core", "default_filepath")
    fixed = {
        "ui": {},
        "core": {"default_filepath": with_slash(folder)},
        "project": {"name": name or settings_text(settings, "project", "name")},
    }
    first = {"core": {"buffer_size": 18, "filepath": {}}}  # as in VIA
    known = {
        group: {
            key: plain_value(value)
            for key, value in _group(settings, group).items()
            if _is_known(group, key, value)
        }
        for group in _GROUPS
    }
    value = {group: {**first.get(group, {}), **known[group], **fixed[group]} for group in _GROUPS}
    return value, list(_settings_losses(settings))


def _settings_losses(settings: Mapping[str, Any]) -> Iterator[Loss]:
    for group, values in settings.items():
        if group not in _GROUPS or not isinstance(values, Mapping):
            yield Loss(what="settings that VIA 2 does not know", where="", detail=str(group))
            continue
        for key, value in values.items():
            if not _is_known(group, key, value):
                detail = f"{group}: {key}"
                yield Loss(what="settings that VIA 2 does not know", where="", detail=detail)
            elif not is_exact_value(value):
                yield Loss(what=NOT_EXACT, where="", detail=f"{group}: {key}")


def _group(settings: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    values = settings.get(group)
    return values if isinstance(values, Mapping) else {}


def _is_known(group: str, key: str, value: Any) -> bool:
    """Whether VIA 2 can take the value: an object only where it has one."""
    if isinstance(value, list):
        return False
    return isinstance(value, Mapping) == (key in _GROUPS[group])


def _declarations(file: ViaFile) -> dict[str, dict[str, Any]]:
    return {
        part: {name: _declaration(each) for name, each in declared.items()}
        for part, declared in declare_met(file).items()
    }


def _declaration(attribute: DeclaredAttribute) -> dict[str, Any]:
    value: dict[str, Any] = {"type": attribute.type, "description": attribute.description}
    if attribute.type == "text" or attribute.default_value:
        value["default_value"] = attribute.default_value
    # without both VIA stops when a picture is added
    if attribute.type != "text" or attribute.options or attribute.default_options:
        value |= {"options": attribute.options, "default_options": attribute.default_options}
    return value


def _order(file: ViaFile, keys: list[str]) -> list[str]:
    """Return exactly the keys: VIA hides a picture not listed, and stops at a key without one."""
    known = set(keys)
    first = [key for key in file.image_order if key in known]
    return list(dict.fromkeys([*first, *keys]))
