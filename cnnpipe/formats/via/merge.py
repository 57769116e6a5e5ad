"""Entries of several VIA files to the records of each picture: what counts, and under which number."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cnnpipe.annotations import Finding, Picture, Region, found
from cnnpipe.formats.pictures import is_sideways
from cnnpipe.formats.via.records import ViaEntry, ViaFile, num_regions
from cnnpipe.formats.via.review import CHECKED, REVIEW_ATTRIBUTE, is_checked, is_unchecked
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import shape_to_box

# From the file name in an entry to its image_id (None: no such picture), and what was noticed.
FindPicture = Callable[[str], tuple[str | None, list[Finding]]]


class NamedEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry of an annotation file, with the picture it was found to mean."""

    source: str  # the annotation file, as findings name it
    entry: ViaEntry
    image_id: str


def name_pictures(file: ViaFile, source: str, find: FindPicture) -> tuple[list[NamedEntry], list[Finding]]:
    """Return the entries whose pictures were found, in order, and what is to be said of all others."""
    named: list[NamedEntry] = []
    findings: list[Finding] = []
    for entry in file.entries:
        image_id, noticed = find(entry.filename)
        if image_id is not None:
            findings += noticed
            named.append(NamedEntry(source=source, entry=entry, image_id=image_id))
        elif is_unchecked(entry.file_attributes):  # it would not count if it were there
            findings.append(_unchecked(entry, source, f"{source}: {entry.filename}"))
        else:
            findings += [_move(finding, f"{source}: {entry.filename}") for finding in noticed]
    return named, findings


def set_unchecked_aside(named: Sequence[NamedEntry]) -> tuple[list[NamedEntry], list[Finding]]:
    """Return the entries that people stand for, and a finding for each picture where others were left out.

    What a network found is neither an object nor its absence until a person has looked at it. Where a
    person has checked it in one entry, that supersedes the unchecked entries of the picture in silence.
    """
    checked = {each.image_id for each in named if is_checked(each.entry.file_attributes)}
    aside = [each for each in named if is_unchecked(each.entry.file_attributes)]
    findings = [
        _unchecked(each.entry, each.source, each.image_id) for each in aside if each.image_id not in checked
    ]
    return [each for each in named if not is_unchecked(each.entry.file_attributes)], findings


def by_picture(named: Iterable[NamedEntry]) -> dict[str, list[NamedEntry]]:
    """Return the entries of each picture, by image_id."""
    entries: dict[str, list[NamedEntry]] = defaultdict(list)
    for each in named:
        entries[each.image_id].append(each)
    return dict(entries)


def merge_entries(
    picture: Picture, named: Sequence[NamedEntry]
) -> tuple[Picture, list[Region], list[Finding]]:
    """Join the entries of one picture: regions are appended, the first value of an attribute stays.

    Where a person has checked a network's regions, they stand for the whole picture: the checked entries
    of the last file count, and no others.

    Args:
        picture: as it was read, still without file attributes.
        named: its entries, in the order of their files; none that is unchecked.
    """
    attributes: Mapping[str, Any] = {}
    regions: list[Region] = []
    findings: list[Finding] = []
    counting = counting_entries(named)
    offset = 0
    for each in counting:
        # of a picture that stands once, the very dict: most pictures are such, and have equal ones
        attributes = (
            {**each.entry.file_attributes, **attributes} if attributes else each.entry.file_attributes
        )
        records = list(regions_of(each.entry, picture.image_id, each.source, offset))
        regions += records
        findings += [_move(finding, picture.image_id, offset) for finding in each.entry.findings]
        findings += _check_size(picture, each)
        findings += _check_frame(picture, records)
        offset += num_regions(each.entry)
    if len(named) > 1:
        findings.append(_merged(picture.image_id, named, counting))
    return msgspec.structs.replace(picture, file_attributes=attributes), regions, findings


def counting_entries(named: Sequence[NamedEntry]) -> Sequence[NamedEntry]:
    """Return the entries of one picture that count: the checked ones of the last file, or else all."""
    checked = [each for each in named if is_checked(each.entry.file_attributes)]
    return [each for each in checked if each.source == checked[-1].source] or named


def regions_of(entry: ViaEntry, image_id: str, source: str, offset: int = 0) -> Iterator[Region]:
    """Yield the regions of an entry as records, counted on from `offset`."""
    for region in entry.regions:
        yield Region(
            image_id=image_id,
            region=region.number + offset,
            source=source,
            shape=region.shape,
            attributes=region.attributes,
        )


def _merged(image_id: str, named: Sequence[NamedEntry], counting: Sequence[NamedEntry]) -> Finding:
    sources = ", ".join(dict.fromkeys(each.source for each in named))
    is_all = len(counting) == len(named)
    kept = "the regions of all" if is_all else f"those checked in {counting[0].source}"
    what = f"annotated {len(named)} times, in {sources}; {kept} are kept"
    return found("picture-merged", image_id, what, "annotate each picture in one file")


def _unchecked(entry: ViaEntry, source: str, where: str) -> Finding:
    what = f"what a network found stands unchecked in {source}; left out (regions: {len(entry.regions)})"
    fix = f"look the picture over in VIA, then set its {REVIEW_ATTRIBUTE} to {CHECKED}"
    return found("picture-unchecked", where, what, fix)


def _move(finding: Finding, where: str, offset: int = 0) -> Finding:
    region = None if finding.region is None else finding.region + offset
    return msgspec.structs.replace(finding, where=where, region=region)


def _check_size(picture: Picture, named: NamedEntry) -> list[Finding]:
    noted = named.entry.size_bytes
    if noted is None or noted == picture.size_bytes:
        return []
    what = f"has {picture.size_bytes} bytes, but {noted} when it was annotated"
    return [found("picture-size", picture.image_id, what, "look whether the regions still fit the picture")]


def _check_frame(picture: Picture, regions: Iterable[Region]) -> list[Finding]:
    """Notice boxes that fit only the picture before its EXIF turn: browsers before 2020 showed that.

    Only a turn that swaps the sides can be noticed so. A pixel of overhang is no sign of it. Where all
    boxes of the picture are such, that is said of the picture, too.
    """
    if not is_sideways(picture.exif_orientation):
        return []
    boxes = [(region, shape_to_box(region.shape)) for region in regions if region.shape is not None]
    known = [(region.region, box) for region, box in boxes if box is not None]
    turned = [number for number, box in known if _fits_only_stored(box, picture)]
    turn = f"only before its EXIF turn (orientation {picture.exif_orientation})"
    fix = "annotate it again in a browser of today"
    findings = [
        found("exif-frame", picture.image_id, f"fits the picture {turn}", fix, region=number)
        for number in turned
    ]
    if turned and len(turned) == len(known):
        what = f"all its boxes ({len(turned)}) fit the picture {turn}: it was annotated unturned"
        findings.append(found("exif-frame", picture.image_id, what, fix))
    return findings


def _fits_only_stored(box: Box, picture: Picture) -> bool:
    fits_upright = box.x_max <= picture.width + 1 and box.y_max <= picture.height + 1
    fits_stored = box.x_max <= picture.height + 1 and box.y_max <= picture.width + 1
    return fits_stored and not fits_upright
