"""Write what a VIA file holds in another format, and say what that cannot hold."""

import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from cnnpipe.errors import AnnotationError, ParamsError
from cnnpipe.files import whole_folder, write_bytes
from cnnpipe.formats.coco_file import FOR_EVERYONE, FOR_VIA, CocoForm, write_coco
from cnnpipe.formats.via.labelled_shapes import Sizes
from cnnpipe.formats.via.labelling import Labelling, option_names
from cnnpipe.formats.via.labels import attributes_in_use, guess_label_attribute
from cnnpipe.formats.via.records import Loss, ViaFile
from cnnpipe.formats.via.write_annotations_json import write_annotations_1, write_annotations_2
from cnnpipe.formats.via.write_csv import write_csv
from cnnpipe.formats.via.write_project import write_project
from cnnpipe.formats.via.write_via3 import write_via3
from cnnpipe.formats.via.written_entries import via_key
from cnnpipe.formats.voc import write_voc
from cnnpipe.formats.yolo import write_yolo

Target = Literal[
    "via1-json",
    "via2-json",
    "via2-project",
    "via2-csv",
    "via3-project",
    "coco",
    "coco-via",
    "yolo",
    "voc",
]


class ConvertOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer cannot know from the file."""

    labelling: Labelling | None = None  # None: `guess_labelling` says
    # by the key of an entry: width, height of its picture in pixels, upright; else as the entry says
    sizes: Mapping[str, tuple[int, int]] = {}
    polyline_as_outline: bool = True  # in COCO, YOLO and Pascal VOC
    default_filepath: str = ""  # of a project: the folder of the pictures as the browser sees it
    name: str = ""  # of a project


def convert(file: ViaFile, out: Path, target: Target, options: ConvertOptions) -> list[Loss]:
    """Write `file` to `out`, whole, and return what the format cannot hold of it.

    Args:
        file: as a reader returned it; its findings are not repeated here.
        out: the file, which is written over, or the folder, which must be empty or not there.
        target: the format.
        options: what the file does not say.

    Raises:
        DataError: a region that no VIA could draw, a picture whose size must be known and is not, or two
            pictures that would share a file.
        ParamsError: `out` cannot be written.
        OSError: the disk is full or read-only.
    """
    if target in _KEYED_BY_NAME and file.kind in _KEYED_BY_NUMBER:
        file = _with_via_keys(file)
    try:
        if target in FOLDER_WRITERS:
            return _fill(file, out, target, options)
        content, losses = FILE_WRITERS[target](file, options)
        _refuse_folder(out)
        write_bytes(out, content)
    except OSError as error:
        if error.errno in _DISK:
            raise
        raise ParamsError(str(out), f"cannot be written: {error.strerror}", "name another place") from error
    except RecursionError as error:
        fix = "delete what is nested there"
        raise AnnotationError(str(out), "an attribute is nested too deeply to be written", fix) from error
    except UnicodeEncodeError as error:
        fix = "type the text again in VIA"
        raise AnnotationError(str(out), "a text holds half of a surrogate pair", fix) from error
    return losses


def _with_via_keys(file: ViaFile) -> ViaFile:
    """Return the file with keys as VIA 1 and 2 make them: those of its own are numbers.

    VIA 2 takes a key that begins with a digit for the id of the picture when it exports COCO.

    Source: via-2.x.y/src/via.js (2.0.11), `export_project_to_coco_format`.
    """
    entries = tuple(msgspec.structs.replace(entry, key=via_key(entry)) for entry in file.entries)
    keys = {before.key: after.key for before, after in zip(file.entries, entries, strict=True)}
    order = tuple(keys[key] for key in file.image_order)
    return msgspec.structs.replace(file, entries=entries, image_order=order)


def guess_labelling(file: ViaFile) -> Labelling:
    """Return the rule by which regions are labelled where nobody said: `guess_label_attribute` chooses.

    Options of VIA 3 are called by what people see, for it numbers them itself; those of VIA 2 by their ids.
    """
    uses = attributes_in_use(region.attributes for entry in file.entries for region in entry.regions)
    attribute = guess_label_attribute(uses)
    declared = file.attributes.get("region", {}).get(attribute or "")
    text: Literal["id", "description"] = "description" if file.kind in NUMBERED_OPTIONS else "id"
    return Labelling(attribute=attribute, names=option_names(declared, text))


def _via1_json(file: ViaFile, _options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return write_annotations_1(file)


def _via2_json(file: ViaFile, _options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return write_annotations_2(file)


def _via2_project(file: ViaFile, options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return write_project(file, default_filepath=options.default_filepath, name=options.name)


def _via2_csv(file: ViaFile, _options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return write_csv(file)


def _via3_project(file: ViaFile, options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return write_via3(file, default_filepath=options.default_filepath, name=options.name)


def _coco(file: ViaFile, options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return _coco_as(FOR_EVERYONE, file, options)


def _coco_via(file: ViaFile, options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return _coco_as(FOR_VIA, file, options)


def _coco_as(form: CocoForm, file: ViaFile, options: ConvertOptions) -> tuple[bytes, list[Loss]]:
    return write_coco(
        file,
        _labelling(file, options),
        _sizes(file, options),
        polyline_as_outline=options.polyline_as_outline,
        form=form,
    )


def _yolo(file: ViaFile, folder: Path, options: ConvertOptions) -> list[Loss]:
    return write_yolo(
        file,
        folder,
        _labelling(file, options),
        _sizes(file, options),
        polyline_as_outline=options.polyline_as_outline,
    )


def _voc(file: ViaFile, folder: Path, options: ConvertOptions) -> list[Loss]:
    return write_voc(
        file,
        folder,
        _labelling(file, options),
        _sizes(file, options),
        polyline_as_outline=options.polyline_as_outline,
    )


FILE_WRITERS: Final[Mapping[str, Callable[[ViaFile, ConvertOptions], tuple[bytes, list[Loss]]]]] = (
    MappingProxyType(
        {
            "via1-json": _via1_json,
            "via2-json": _via2_json,
            "via2-project": _via2_project,
            "via2-csv": _via2_csv,
            "via3-project": _via3_project,
            "coco": _coco,
            "coco-via": _coco_via,
        }
    )
)
FOLDER_WRITERS: Final[Mapping[str, Callable[[ViaFile, Path, ConvertOptions], list[Loss]]]] = MappingProxyType(
    {"yolo": _yolo, "voc": _voc}
)
TARGETS: Final[tuple[str, ...]] = (*FILE_WRITERS, *FOLDER_WRITERS)
_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_KEYED_BY_NAME: Final = ("via1-json", "via2-json", "via2-project")
_KEYED_BY_NUMBER: Final = ("via3-project", "via3-csv", "coco-json")
NUMBERED_OPTIONS: Final = ("via3-project", "via3-csv")


def _fill(file: ViaFile, out: Path, target: Target, options: ConvertOptions) -> list[Loss]:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        fix = "name a folder that is empty or not there"
        raise ParamsError(str(out), "is not an empty folder, and nothing is written over", fix)
    try:
        with whole_folder(out) as folder:
            return FOLDER_WRITERS[target](file, folder, options)
    except BaseException:
        _remove_part(out)
        raise


def _remove_part(out: Path) -> None:
    """Remove what was written so far: whole_folder leaves it."""
    shutil.rmtree(out.with_name(f"{out.name}.part"), ignore_errors=True)


def _refuse_folder(out: Path) -> None:
    if out.is_dir():
        raise ParamsError(str(out), "is a folder", "name a file")


def _labelling(file: ViaFile, options: ConvertOptions) -> Labelling:
    return guess_labelling(file) if options.labelling is None else options.labelling


def _sizes(file: ViaFile, options: ConvertOptions) -> Sizes:
    def size(key: str, width: int | None, height: int | None) -> tuple[int, int] | None:
        known = options.sizes.get(key) or ((width, height) if width and height else None)
        return known if known is not None and min(known) > 0 else None

    return Sizes(of_entries=[size(entry.key, entry.width, entry.height) for entry in file.entries])
