"""The records of stage `ingest` from VIA files alone, and from their pictures where those are given."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe.annotations import Finding, Picture, Region
from cnnpipe.formats.via.declared_union import unite_declared
from cnnpipe.formats.via.merge import (
    NamedEntry,
    by_picture,
    merge_entries,
    name_pictures,
    set_unchecked_aside,
)
from cnnpipe.formats.via.records import ViaEntry
from cnnpipe.formats.via.same_pictures import group_by_picture
from cnnpipe.projects.originals import find_original
from cnnpipe.projects.via_files import ReadFile, picture_folder
from cnnpipe.projects.via_places import Places
from cnnpipe.stages.ingest import decode_all
from cnnpipe.stages.validate import Ingested

UNBOUNDED: Final = 10**9  # pixels of a side that nothing tells; no picture is as large
_MAX_PIXELS: Final = 100_000_000  # as in params.yaml: a larger picture is not read


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What stage `validate` looks at, and the way back to the files."""

    data: Ingested
    places: Places


def make_records(read: Sequence[ReadFile], images_dir: Path | None) -> Records:
    """Return the pictures and regions of all files.

    Without a folder nothing is known of the pictures: their sides are unbounded, but where a file states
    them, and those of one name are the same one as `group_by_picture` tells it.

    Args:
        read: files that could be read.
        images_dir: the folder of the pictures; they are decoded.

    Raises:
        DataError: `images_dir` is no folder.
    """
    declared, findings = unite_declared((each.name, each.contents.attributes) for each in read)
    findings += [finding for each in read for finding in each.contents.findings]
    named, noticed = _name_all(read, images_dir) if images_dir is not None else (_name_alone(read), [])
    all_named = by_picture(named)
    kept, unchecked = set_unchecked_aside(named)
    # mostly the very same: a second index of all pictures would be twice the file
    entries = all_named if len(kept) == len(named) else by_picture(kept)
    findings += [*noticed, *unchecked]
    pictures: list[Picture] = []
    regions: list[Region] = []
    for image_id, found in _pictures(entries, images_dir):
        if isinstance(found, Finding):
            findings.append(found)
            continue
        merged, its_regions, said = merge_entries(found, entries[image_id])
        pictures.append(merged)
        regions += its_regions
        findings += said
    data = Ingested(pictures=pictures, regions=regions, findings=findings, declared=declared)
    told = all_named if entries is all_named else {**all_named, **entries}
    return Records(data=data, places=Places([each.name for each in read], told))


def _name_all(read: Iterable[ReadFile], images_dir: Path) -> tuple[list[NamedEntry], list[Finding]]:
    folder = picture_folder(images_dir)
    named: list[NamedEntry] = []
    findings: list[Finding] = []
    for each in read:
        find = partial(find_original, beside=each.path.parent, folder=folder)
        found_in_file, noticed = name_pictures(each.contents, each.name, find)
        named += found_in_file
        findings += noticed
    return named, findings


def _name_alone(read: Sequence[ReadFile]) -> list[NamedEntry]:
    """Return all entries; the name of a picture is its image_id, and a number is put behind the next ones.

    Of a list of addresses there is nothing to be said without the pictures.
    """
    read = [each for each in read if each.contents.kind != "url-list"]
    named = []
    taken: dict[str, int] = {}
    for group in group_by_picture([each.contents for each in read]):
        filename = group[0].entry.filename
        taken[filename] = number = taken.get(filename, 0) + 1
        image_id = filename if number == 1 else f"{filename} (the {number}th of this name)"
        named += [
            NamedEntry(source=read[each.file].name, entry=each.entry, image_id=image_id) for each in group
        ]
    return named


def _pictures(
    entries: dict[str, list[NamedEntry]], images_dir: Path | None
) -> Iterable[tuple[str, Picture | Finding]]:
    if images_dir is not None:
        return decode_all(images_dir.resolve(), sorted(entries), _MAX_PIXELS)
    return (
        (image_id, _unseen(image_id, [each.entry for each in of_one]))
        for image_id, of_one in sorted(entries.items())
    )


def _unseen(image_id: str, entries: Sequence[ViaEntry]) -> Picture:
    """Return a picture of which only the annotation files tell."""
    widths = [entry.width for entry in entries if entry.width is not None and entry.width > 0]
    heights = [entry.height for entry in entries if entry.height is not None and entry.height > 0]
    sizes = [entry.size_bytes for entry in entries if entry.size_bytes is not None]
    return Picture(
        image_id=image_id,
        width=widths[0] if widths else UNBOUNDED,
        height=heights[0] if heights else UNBOUNDED,
        mode="",
        exif_orientation=1,
        size_bytes=sizes[0] if sizes else 0,
        sha256=image_id,  # no picture is known to be another's duplicate
        perceptual_hash="",
        file_attributes={},
    )
