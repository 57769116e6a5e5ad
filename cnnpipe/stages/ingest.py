"""Stage `ingest`: any VIA files and their pictures to records; every picture is decoded once."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from cnnpipe.annotations import Finding, Picture, Region, found, in_order
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.files import sha256_of_file, whole_folder, write_jsonl
from cnnpipe.formats.perceptual_hash import perceptual_hash
from cnnpipe.formats.picture_lookup import find_picture, index_pictures
from cnnpipe.formats.pictures import decode_picture, is_sideways
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.records import ViaEntry
from cnnpipe.geometry.shapes import shape_to_box
from cnnpipe.params.ingest import IngestParams

# Pillow decodes outside the interpreter's lock; more threads hold more pictures in memory.
_THREADS: Final = min(4, os.cpu_count() or 1)


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of an annotation file, with the picture it was found to mean."""

    source: str
    entry: ViaEntry
    image_id: str


def ingest(out: Path, params: IngestParams) -> Counter[str]:
    """Write images.jsonl, annotations.jsonl and findings.jsonl to `out`; return counts of each.

    Raises:
        DataError: no annotation file, one that cannot be read, or none that names a picture.
        ParamsError: a path of `params` leads out of the raw folder.
    """
    raw_dir = Path(params.raw_dir)
    sources, findings = _annotation_files(raw_dir, params.annotations)
    named, lookup_findings, num_entries = _find_pictures(raw_dir, sources, params)
    if not num_entries:
        fix = "add pictures in VIA, or name another file in ingest.annotations"
        raise DataError(", ".join(sources), "names no picture at all", fix)
    entries = _by_picture(named)
    decoded = _decode_all(raw_dir, sorted(entries), params.max_pixels)
    pictures, regions = [], []
    findings += lookup_findings
    for image_id, result in decoded:
        if isinstance(result, Finding):
            findings.append(result)
            continue
        picture, region_records, noticed = _merge(result, entries[image_id])
        pictures.append(picture)
        regions += region_records
        findings += noticed
    _write(out, pictures, regions, findings)
    counts = {"annotation files": len(sources), "pictures": len(pictures), "regions": len(regions)}
    return Counter(counts) + Counter(finding.code for finding in findings)


def _annotation_files(raw_dir: Path, patterns: Sequence[str]) -> tuple[list[str], list[Finding]]:
    """Return the annotation files in order of the patterns, each content once, POSIX below raw_dir."""
    if not raw_dir.is_dir():
        fix = "put your pictures and the VIA file there, or set ingest.raw_dir in params.yaml"
        raise DataError(str(raw_dir), "no such folder", fix)
    paths = dict.fromkeys(path for pattern in patterns for path in _matches(raw_dir, pattern))
    sources: dict[str, str] = {}
    findings = []
    for path in paths:
        name, digest = path.relative_to(raw_dir).as_posix(), sha256_of_file(path)
        first = sources.setdefault(digest, name)
        if first != name:
            what = f"the same bytes as {first}; read once"
            findings.append(found("file-repeated", name, what, "delete one of the two files"))
    return list(sources.values()), findings


def _matches(raw_dir: Path, pattern: str) -> list[Path]:
    if not pattern.strip() or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        what = f"ingest.annotations: {pattern!r} is no path below {raw_dir}"
        raise ParamsError("params.yaml", what, "name the file relative to ingest.raw_dir")
    exact = raw_dir / pattern  # a name with brackets is no pattern if it exists
    try:
        matches = [exact] if exact.is_file() else sorted(raw_dir.glob(pattern))
    except ValueError as error:
        raise ParamsError("params.yaml", f"ingest.annotations: {pattern!r}: {error}", "mend it") from error
    paths = [path for path in matches if path.is_file()]
    if not paths:
        lying = sorted(path.relative_to(raw_dir).as_posix() for path in raw_dir.rglob("*.json"))
        there = f"there are: {', '.join(lying[:20])}" if lying else "no .json file lies there"
        raise DataError(
            f"{raw_dir}/{pattern}",
            "no annotation file there",
            f"set ingest.annotations in params.yaml; {there}",
        )
    return paths


def _find_pictures(
    raw_dir: Path, sources: Sequence[str], params: IngestParams
) -> tuple[list[_Named], list[Finding], int]:
    """Return the entries whose pictures were found, what was noticed, and how many entries there are."""
    images_dir = raw_dir / params.images_dir
    if not images_dir.resolve().is_relative_to(raw_dir.resolve()):
        what = f"ingest.images_dir: {params.images_dir!r} leads out of {raw_dir}"
        raise ParamsError("params.yaml", what, "name a folder below ingest.raw_dir")
    folder = index_pictures(raw_dir, images_dir)
    named: list[_Named] = []
    findings: list[Finding] = []
    num_entries = 0
    for source in sources:
        file = read_via(raw_dir / source, where=source)
        findings += file.findings
        num_entries += len(file.entries) + len(file.findings)
        for entry in file.entries:
            image_id, noticed = find_picture(entry.filename, (raw_dir / source).parent, folder)
            if image_id is None:
                findings += [_move(finding, f"{source}: {entry.filename}") for finding in noticed]
            else:
                findings += noticed
                named.append(_Named(source=source, entry=entry, image_id=image_id))
    return named, findings, num_entries


def _by_picture(named: Iterable[_Named]) -> Mapping[str, list[_Named]]:
    entries: dict[str, list[_Named]] = defaultdict(list)
    for each in named:
        entries[each.image_id].append(each)
    return entries


def _decode_all(
    raw_dir: Path, image_ids: Sequence[str], max_pixels: int
) -> list[tuple[str, Picture | Finding]]:
    """Decode every picture once, in threads; the order of the result is that of `image_ids`."""
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(partial(_decode, raw_dir, max_pixels), image_ids)
        return list(zip(image_ids, results, strict=True))


def _decode(raw_dir: Path, max_pixels: int, image_id: str) -> Picture | Finding:
    path = raw_dir / image_id
    try:
        decoded = decode_picture(path, channels=3, max_pixels=max_pixels)
    except DataError as error:
        return found("picture-unreadable", image_id, error.what, error.fix)
    height, width, _ = decoded.pixels.shape
    return Picture(
        image_id=image_id,
        width=width,
        height=height,
        mode=decoded.mode,
        exif_orientation=decoded.exif_orientation,
        size_bytes=path.stat().st_size,
        sha256=sha256_of_file(path),
        perceptual_hash=perceptual_hash(decoded.pixels),
        file_attributes={},
    )


def _merge(picture: Picture, named: Sequence[_Named]) -> tuple[Picture, list[Region], list[Finding]]:
    """Join all entries of one picture: regions are appended, the first value of an attribute stays."""
    attributes: dict[str, Any] = {}
    regions: list[Region] = []
    findings: list[Finding] = []
    offset = 0
    for each in named:
        attributes = each.entry.file_attributes | attributes
        records = _to_regions(each, offset)
        regions += records
        findings += [_move(finding, picture.image_id, offset) for finding in each.entry.findings]
        findings += _check_size(picture, each)
        findings += _check_frame(picture, records)
        offset += _num_regions(each.entry)
    if len(named) > 1:
        sources = ", ".join(dict.fromkeys(each.source for each in named))
        what = f"annotated {len(named)} times, in {sources}; the regions of all are kept"
        findings.append(found("picture-merged", picture.image_id, what, "annotate each picture in one file"))
    return msgspec.structs.replace(picture, file_attributes=attributes), regions, findings


def _to_regions(named: _Named, offset: int) -> list[Region]:
    return [
        Region(
            image_id=named.image_id,
            region=region.number + offset,
            source=named.source,
            shape=region.shape,
            attributes=region.attributes,
        )
        for region in named.entry.regions
    ]


def _num_regions(entry: ViaEntry) -> int:
    """Return how many regions the entry has in its file, unreadable ones included."""
    numbers = [region.number for region in entry.regions]
    numbers += [finding.region for finding in entry.findings if finding.region is not None]
    return max(numbers, default=-1) + 1


def _move(finding: Finding, where: str, offset: int = 0) -> Finding:
    region = None if finding.region is None else finding.region + offset
    return msgspec.structs.replace(finding, where=where, region=region)


def _check_size(picture: Picture, named: _Named) -> list[Finding]:
    noted = named.entry.size_bytes
    if noted is None or noted == picture.size_bytes:
        return []
    what = f"has {picture.size_bytes} bytes, but {noted} when it was annotated"
    return [found("picture-size", picture.image_id, what, "look whether the regions still fit the picture")]


def _check_frame(picture: Picture, regions: Iterable[Region]) -> list[Finding]:
    """Notice boxes that fit only the picture before its EXIF turn: browsers before 2020 showed that.

    Only a turn that swaps the sides can be noticed so. A pixel of overhang is no sign of it.
    """
    if not is_sideways(picture.exif_orientation):
        return []
    findings = []
    for region in regions:
        box = shape_to_box(region.shape) if region.shape is not None else None
        if box is None:
            continue
        fits_upright = box.x_max <= picture.width + 1 and box.y_max <= picture.height + 1
        fits_stored = box.x_max <= picture.height + 1 and box.y_max <= picture.width + 1
        if fits_stored and not fits_upright:
            what = f"fits the picture only before its EXIF turn (orientation {picture.exif_orientation})"
            fix = "annotate it again in a browser of today"
            findings.append(found("exif-frame", picture.image_id, what, fix, region=region.region))
    return findings


def _write(
    out: Path, pictures: Iterable[Picture], regions: Iterable[Region], findings: Iterable[Finding]
) -> None:
    with whole_folder(out) as folder:
        write_jsonl(folder / "images.jsonl", pictures)
        write_jsonl(folder / "annotations.jsonl", regions)
        write_jsonl(folder / "findings.jsonl", in_order(findings))
