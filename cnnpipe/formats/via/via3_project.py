"""Projects of VIA 3: the pictures in them, their regions and their attributes.

Source: `_init_default_project`, `file_get_src` and `project_store_apply_version_fix` of
via-3.x.y/src/js/_via_data.js, _via_file.js, _via_view.js (3.0.10).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, found
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.decode import decode_members, value_of
from cnnpipe.formats.via.long_objects import decode_object
from cnnpipe.formats.via.records import ViaFile
from cnnpipe.formats.via.via3_attributes import parse_via3_attributes
from cnnpipe.formats.via.via3_metadata import (
    LeftOut,
    Medium,
    Metadata,
    count_left_out,
    describe_left_out,
    medium_of,
    read_picture,
)

_FIX: Final = "save the project again in VIA 3, or restore the file from a copy"
_LOCAL: Final = "1"  # chosen in the browser
_INLINE: Final = "4"  # the picture itself stands in the project
_MEDIA: Final[Mapping[str, Medium]] = {"2": "image", "4": "video", "8": "sound"}


class _File(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # its path, or what it is called where the file holds the picture itself
    medium: Medium
    is_inline: bool


class _View(msgspec.Struct, frozen=True, kw_only=True):
    """Files that are shown together; mostly one."""

    id: str
    files: Sequence[str]


def read_via3_project(text: bytes, *, where: str) -> ViaFile:
    """Return the pictures of the project with this text; `where` is its name, for findings.

    The key of an entry is the number of its file. What is annotated in a view of several files is taken
    for the first of them. Videos and sounds are counted in a finding.

    Raises:
        AnnotationError: not JSON, or without `file`, `view` or `metadata`.
    """
    members = dict(decode_members(text, where=where) or [])
    project, config = (_object(members, name, where) for name in ("project", "config"))
    files, unreadable = _parse_files(_needed(members, "file", where), _prefixes(config), where)
    views = _parse_views(_needed(members, "view", where))
    attributes = parse_via3_attributes(value_of(members.get("attribute"), where=where), where=where)
    rows, strays = _group(members.get("metadata"), views, files, where)
    left_out = LeftOut(names={"video": [], "sound": []}, rows=Counter())
    read = []
    for key, file in files.items():
        of_file = [_row(name, value, where) for name, value in rows.pop(key, [])]
        if file.medium == "image":
            read.append(read_picture(key, file.name, of_file, attributes, left_out))
        else:
            left_out.names[file.medium].append(file.name)
            count_left_out(of_file, left_out)
    listed = project.get("vid_list") or value_of(members.get("vid_list"), where=where)  # 3.1.0: at the top
    return ViaFile(
        kind="via3-project",
        version=_version(project),
        entries=tuple(entry for entry, _ in read),
        attributes=attributes.declared,
        image_order=_order(listed, views, [entry.key for entry, _ in read]),
        findings=(
            *attributes.findings,
            *unreadable,
            *strays,
            *_inline(files, where),
            *_several(views, where),
            *describe_left_out(left_out, where),
        ),
        num_images=len(read),
        num_regions=sum(num_regions for _, num_regions in read),
        settings={"project": {"name": project["pname"]}} if isinstance(project.get("pname"), str) else {},
    )


def _object(members: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = value_of(members.get(name), where=where)
    return value if isinstance(value, Mapping) else {}


def _needed(members: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = value_of(members.get(name), where=where)
    if not isinstance(value, Mapping):
        raise AnnotationError(where, f"`{name}` is not an object", _FIX)
    return value


def _prefixes(config: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what stands before the path of a file, by where the file is from."""
    settings = config.get("file")
    if not isinstance(settings, Mapping):
        return {}
    prefixes = settings.get("loc_prefix")
    if isinstance(prefixes, Mapping):
        return {key: prefix for key, prefix in prefixes.items() if isinstance(prefix, str)}
    old = settings.get("path")  # format 3.1.0
    return {_LOCAL: old} if isinstance(old, str) else {}


def _parse_files(
    values: Mapping[str, Any], prefixes: Mapping[str, str], where: str
) -> tuple[dict[str, _File], list[Finding]]:
    files, findings = {}, []
    for key, value in values.items():
        file = _parse_file(value, prefixes) if isinstance(value, Mapping) else None
        if file is None:
            fix = "give it a `src` or an `fname`, or delete it"
            findings.append(found("entry-unreadable", f"{where}: {key}", "the file has no name", fix))
        else:
            files[key] = file
    return files, findings


def _parse_file(value: Mapping[str, Any], prefixes: Mapping[str, str]) -> _File | None:
    location = str(value.get("loc"))
    source, name = _text(value.get("src")), _text(value.get("fname"))
    is_inline = location == _INLINE or source.startswith("data:")
    path = prefixes.get(location, "") + source if source and not is_inline else name
    if not path.strip():
        return None
    medium = _MEDIA.get(str(value.get("type"))) or medium_of(name or path)
    return _File(name=path, medium=medium, is_inline=is_inline)


def _parse_views(values: Mapping[str, Any]) -> dict[str, _View]:
    views = {}
    for key, value in values.items():
        files = value.get("fid_list") if isinstance(value, Mapping) else None
        listed = files if isinstance(files, list) else []
        views[key] = _View(id=key, files=[str(each) for each in listed])
    return views


def _group(
    metadata: Any, views: Mapping[str, _View], files: Mapping[str, _File], where: str
) -> tuple[dict[str, list[tuple[str, Any]]], list[Finding]]:
    """Return the rows of each file, still as text, and a finding for those that belong to none."""
    members = decode_members(metadata, where=where) if isinstance(metadata, msgspec.Raw) else None
    if isinstance(metadata, Mapping):
        members = list(metadata.items())
    if members is None:
        raise AnnotationError(where, "`metadata` is not an object", _FIX)
    grouped: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    strays = []
    for name, value in members:
        view = views.get(_view_of(value))
        first = view.files[0] if view is not None and view.files else None
        if first in files and first is not None:
            grouped[first].append((name, value))
        else:
            strays.append(name)
    if not strays:
        return grouped, []
    what = f"{len(strays)} rows of metadata belong to no file ({', '.join(strays[:5])})"
    return grouped, [found("region-unreadable", where, what, _FIX)]


def _view_of(value: Any) -> str:
    try:
        row = _ROW.decode(value) if isinstance(value, msgspec.Raw) else msgspec.convert(value, _Row)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return ""
    return str(row.vid)


def _row(name: str, value: Any, where: str) -> Metadata:
    try:
        decoded = decode_object(value, "xy", where=where)
    except AnnotationError as error:
        return Metadata(name=f"metadata {name}", time=None, shape=error.what, attributes=None)
    return Metadata(
        name=f"metadata {name}",
        time=decoded.get("z"),
        shape=decoded.get("xy"),
        attributes=decoded.get("av"),
    )


def _version(project: Mapping[str, Any]) -> str:
    version = project.get("data_format_version")
    return version if isinstance(version, str) and version else "3"  # VIA 3.0.10 leaves it out


def _order(listed: Any, views: Mapping[str, _View], keys: Sequence[str]) -> tuple[str, ...]:
    """Return the keys as VIA shows them: view by view."""
    known = set(keys)
    shown = [views[str(each)] for each in listed if str(each) in views] if isinstance(listed, list) else []
    first = [key for view in shown for key in view.files if key in known]
    return tuple(dict.fromkeys([*first, *keys]))


def _inline(files: Mapping[str, _File], where: str) -> Iterator[Finding]:
    names = [file.name for file in files.values() if file.is_inline and file.medium == "image"]
    if names:
        number = "1 picture stands" if len(names) == 1 else f"{len(names)} pictures stand"
        what = f"{number} in the project itself ({', '.join(names[:5])}); only named here"
        yield found("media-left-out", where, what, "put files of these names beside the others")


def _several(views: Mapping[str, _View], where: str) -> Iterator[Finding]:
    several = [view for view in views.values() if len(view.files) > 1]
    if several:
        what = (
            f"{len(several)} views show several files; what is annotated there counts for the first of them"
        )
        yield found("file-repaired", where, what, "annotate each picture in a view of its own")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class _Row(msgspec.Struct, frozen=True):
    vid: Any = None


_ROW: Final = msgspec.json.Decoder(_Row)
