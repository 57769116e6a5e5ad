"""One or several VIA files to one file of another kind, by what the user says of labels and pictures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.annotations import Finding
from cnnpipe.errors import DataError
from cnnpipe.formats.via.convert import (
    FOLDER_WRITERS,
    ConvertOptions,
    Target,
    convert,
)
from cnnpipe.formats.via.labelling import Labelling, LabelText, option_names
from cnnpipe.formats.via.merge_files import Conflict, Keep, Merged, merge_files
from cnnpipe.formats.via.records import Loss, ViaFile, all_findings
from cnnpipe.formats.via.relabel import relabel
from cnnpipe.formats.via.write_project import settings_text
from cnnpipe.projects.via_files import is_same_file, read_all, shown, sizes_of
from cnnpipe.projects.via_label import ChosenLabel, label_of_files, label_text_of

VIA_TARGETS: Final[tuple[Target, ...]] = (
    "via1-json",
    "via2-json",
    "via2-project",
    "via2-csv",
    "via3-project",
)


class ConvertRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written, and from what."""

    paths: Sequence[Path]
    out: Path
    target: Target
    images_dir: Path | None = None
    label: str | None = None
    label_map: Mapping[str, str | None] = {}
    label_text: LabelText | None = None  # None: as `label_text_of` says
    default_label: str | None = None  # class of a region that says none; None: it has none
    polyline_as_outline: bool = True
    force: bool = False
    keep: Keep | None = None


class Relabelling(msgspec.Struct, frozen=True, kw_only=True):
    """A spelling that was rewritten; `after` is null where it was taken out."""

    before: str
    after: str | None
    count: int


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    out: str
    to: Target
    images: int
    regions: int
    label_attribute: str | None
    sizes_known: int  # pictures
    relabelled: Sequence[Relabelling]  # in the files for VIA; the others are written by their classes anyway
    conflicts: Sequence[Conflict]
    keep: Keep | None
    losses: Sequence[Loss]
    findings: Sequence[Finding]  # about what was read
    merged: Merged

    @property
    def is_written(self) -> bool:
        """Whether nothing is left for the user to decide."""
        return not self.conflicts or self.keep is not None

    @property
    def is_whole(self) -> bool:
        """Whether all that the files hold was written."""
        return not self.losses and not any(each.severity == "error" for each in self.findings)


def convert_files(request: ConvertRequest) -> Converted:
    """Write the files as one to `request.out`, and return what was written and what could not be.

    Raises:
        DataError: a file cannot be read; they contradict each other; nothing has a value of the label
            attribute; or `out` is there already, or is one of the files.
    """
    refuse_taken(request)
    merged = merge_files(read_all(request.paths), request.keep)
    if merged.conflicts and request.keep is None:
        return _nothing_written(request, merged)
    file = merged.file
    label = label_of_files([(", ".join(map(shown, request.paths)), file)], request.label)
    labelling = _labelling(file, label, request)
    relabellings: list[Relabelling] = []
    if request.target in VIA_TARGETS:
        changed = relabel(file, labelling, label.part or "region")
        file = changed.file
        relabellings = [
            Relabelling(before=before, after=after, count=count)
            for (before, after), count in changed.counts.items()
        ]
    sizes = {} if request.images_dir is None else sizes_of(file, request.paths[0], request.images_dir)
    options = ConvertOptions(
        labelling=labelling
        if label.part == "region"
        else Labelling(attribute=None, default=request.default_label),
        sizes=sizes,
        polyline_as_outline=request.polyline_as_outline,
        name=settings_text(file.settings, "project", "name") or request.out.stem,
    )
    losses = convert(file, request.out, request.target, options)
    return Converted(
        out=shown(request.out),
        to=request.target,
        images=len(file.entries),
        regions=sum(len(entry.regions) for entry in file.entries),
        label_attribute=label.attribute,
        sizes_known=len(sizes),
        relabelled=relabellings,
        conflicts=merged.conflicts,
        keep=request.keep,
        losses=losses,
        findings=all_findings(merged.file),
        merged=merged,
    )


def refuse_taken(request: ConvertRequest) -> None:
    """Refuse to write over anything that the user has not named for it.

    Raises:
        DataError: `out` is there and not forced, or it is, or holds, one of the files that are read.
    """
    out, where = request.out, shown(request.out)
    read = [*request.paths, *([request.images_dir] if request.images_dir is not None else [])]
    for path in read:
        if is_same_file(out, path) or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(out)):
            what = (
                "would be written over, and it is read" if is_same_file(out, path) else f"holds {shown(path)}"
            )
            raise DataError(where, what, "name another file to write")
    if not os.path.lexists(out):
        return
    if request.target in FOLDER_WRITERS:
        if not out.is_dir() or any(out.iterdir()):
            what = f"{request.target} fills a folder of its own, and this is there already"
            raise DataError(where, what, "name a folder that is empty or not there")
    elif out.is_dir():
        raise DataError(where, "is a folder, and a file is to be written", "name the file in it")
    elif not request.force:
        raise DataError(where, "exists already", "name another, or write over it with --force")


def _labelling(file: ViaFile, label: ChosenLabel, request: ConvertRequest) -> Labelling:
    declared = file.attributes.get(label.part or "region", {}).get(label.attribute or "")
    names = option_names(declared, request.label_text or label_text_of([file]))
    return Labelling(
        attribute=label.attribute, names=names, mapping=request.label_map, default=request.default_label
    )


def _nothing_written(request: ConvertRequest, merged: Merged) -> Converted:
    return Converted(
        out=shown(request.out),
        to=request.target,
        images=0,
        regions=0,
        label_attribute=None,
        sizes_known=0,
        relabelled=[],
        conflicts=merged.conflicts,
        keep=request.keep,
        losses=[],
        findings=all_findings(merged.file),
        merged=merged,
    )
