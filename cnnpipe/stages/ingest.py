"""Stage `ingest`: any VIA files and their pictures to records; every picture is decoded once."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from cnnpipe.annotations import Finding, Picture, found, in_order
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.files import sha256_of_file, whole_folder, write_json, write_jsonl
from cnnpipe.formats.contrast import contrast
from cnnpipe.formats.perceptual_hash import perceptual_hash
from cnnpipe.formats.picture_lookup import PictureFolder, find_picture, index_pictures
from cnnpipe.formats.pictures import decode_picture
from cnnpipe.formats.via.declared_union import unite_declared
from cnnpipe.formats.via.merge import (
    NamedEntry,
    by_picture,
    merge_entries,
    name_pictures,
    set_unchecked_aside,
)
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.records import ViaFile
from cnnpipe.params.ingest import IngestParams

# Pillow decodes outside the interpreter's lock; more threads hold more pictures in memory.
_THREADS: Final = min(4, os.cpu_count() or 1)
_KINDS: Final = (".json", ".csv")  # how files of annotations mostly end; what they are, their content tells


def ingest(out: Path, params: IngestParams) -> Counter[str]:
    """Write images.jsonl, annotations.jsonl, attributes.json and findings.jsonl to `out`; return counts.

    Raises:
        DataError: no annotation file, one that cannot be read, or none that names a picture.
        ParamsError: a path of `params` leads out of the raw folder.
    """
    raw_dir = Path(params.raw_dir)
    sources, findings = annotation_files(raw_dir, params.annotations)
    files = {source: read_via(raw_dir / source, where=source) for source in sources}
    if not any(file.num_images for file in files.values()):
        fix = "add pictures in VIA, or name another file in ingest.annotations"
        raise DataError(", ".join(sources), "names no picture at all", fix)
    declared, conflicts = unite_declared((source, file.attributes) for source, file in files.items())
    named, lookup_findings = _find_pictures(raw_dir, files, picture_folder(params))
    named, unchecked_findings = set_unchecked_aside(named)
    entries = by_picture(named)
    decoded = decode_all(raw_dir, sorted(entries), params.max_pixels)
    pictures, regions = [], []
    findings += [*conflicts, *lookup_findings, *unchecked_findings]
    for image_id, result in decoded:
        if isinstance(result, Finding):
            findings.append(result)
            continue
        picture, region_records, noticed = merge_entries(result, entries[image_id])
        pictures.append(picture)
        regions += region_records
        findings += noticed
    with whole_folder(out) as folder:
        write_jsonl(folder / "images.jsonl", pictures)
        write_jsonl(folder / "annotations.jsonl", regions)
        write_jsonl(folder / "findings.jsonl", in_order(findings))
        write_json(folder / "attributes.json", declared)
    counts = {"annotation files": len(sources), "pictures": len(pictures), "regions": len(regions)}
    return Counter(counts) + Counter(finding.code for finding in findings)


def annotation_files(raw_dir: Path, patterns: Sequence[str]) -> tuple[list[str], list[Finding]]:
    """Return the annotation files in order of the patterns, each content once, POSIX below raw_dir.

    Raises:
        DataError: the raw folder, or a file in it that a pattern names, is not there.
        ParamsError: a pattern leads out of the raw folder.
    """
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
        lying = sorted(
            path.relative_to(raw_dir).as_posix()
            for path in raw_dir.rglob("*")
            if path.suffix.lower() in _KINDS
        )
        there = f"there are: {', '.join(lying[:20])}" if lying else "no .json or .csv file lies there"
        raise DataError(
            f"{raw_dir}/{pattern}",
            "no annotation file there",
            f"set ingest.annotations in params.yaml; {there}",
        )
    return paths


def picture_folder(params: IngestParams) -> PictureFolder:
    """Return the index of the files among which pictures are looked for.

    Raises:
        ParamsError: the folder of the pictures lies outside the raw folder.
    """
    raw_dir = Path(params.raw_dir)
    images_dir = raw_dir / params.images_dir
    if not images_dir.resolve().is_relative_to(raw_dir.resolve()):
        what = f"ingest.images_dir: {params.images_dir!r} leads out of {raw_dir}"
        raise ParamsError("params.yaml", what, "name a folder below ingest.raw_dir")
    return index_pictures(raw_dir, images_dir)


def _find_pictures(
    raw_dir: Path, files: Mapping[str, ViaFile], folder: PictureFolder
) -> tuple[list[NamedEntry], list[Finding]]:
    """Return the entries whose pictures were found, and what was noticed in the files and on the way."""
    named: list[NamedEntry] = []
    findings: list[Finding] = []
    for source, file in files.items():
        find = partial(find_picture, beside=(raw_dir / source).parent, folder=folder)
        found_in_file, noticed = name_pictures(file, source, find)
        named += found_in_file
        findings += (*file.findings, *noticed)
    return named, findings


def decode_all(
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
        contrast=contrast(decoded.pixels),
    )
