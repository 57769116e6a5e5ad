"""Where a newer annotation file and its new pictures go in a project: planned before anything is written.

A file replaces the annotation file of the project with which it shares most pictures, and keeps that one's
name. What came from `cnnpipe predict --via` replaces only its like. Else a file is added: beside the one with
which it shares most pictures, or, where it shares none, into a folder of its own with its pictures beside it.
"""

import filecmp
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from cnnpipe.errors import DataError
from cnnpipe.formats.picture_lookup import PictureFolder, relative_spellings
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.records import ViaEntry, ViaFile
from cnnpipe.formats.via.review import is_checked, is_unchecked
from cnnpipe.projects.changes import PictureChanges, compare_picture
from cnnpipe.projects.holdings import Holdings, Source, find_beside, is_review
from cnnpipe.projects.layout import free_name
from cnnpipe.projects.originals import find_original


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A newer annotation file, and what taking it in would do."""

    path: Path
    target: str  # POSIX path below the raw folder
    replaces: str | None  # the annotation file of the project that it takes the place of
    image_ids: Mapping[str, str]  # in the project, by file name in the file
    new_pictures: Mapping[Path, Path]  # where each goes, by where it is
    changes: Sequence[PictureChanges]  # in order of image_id
    lost: Sequence[str]  # file names that mean no picture


class _Match(msgspec.Struct, frozen=True, kw_only=True):
    """What the names in a file mean if it stood beside an annotation file of the project."""

    source: Source
    here: Mapping[str, str]  # file name -> image_id in the project
    there: Mapping[str, Path]  # file name -> picture below --images
    differing: Sequence[str]  # file names that mean one picture here and another there
    num_shared: int  # pictures that the two files name both
    num_of_size: int  # entries whose picture here has the size that VIA noted


def plan(path: Path, holdings: Holdings, images: PictureFolder | None) -> Incoming:
    """Return what taking in the annotation file at `path` would do; nothing is written.

    Args:
        path: a VIA file.
        holdings: the project.
        images: the pictures below --images; None: it was not given.

    Raises:
        DataError: no VIA file, one of other data, or pictures that are not there.
    """
    file = read_via(path, where=str(path))
    if not file.entries:
        raise DataError(str(path), "names no picture at all", "export again from VIA")
    matches = [_match(file, path, source, holdings, images) for source in holdings.sources]
    # where names are the same in two folders, the sizes that VIA noted tell which is meant
    matches = sorted((m for m in matches if m.num_shared), key=lambda m: (-m.num_of_size, -m.num_shared))
    if not matches:
        return _plan_apart(file, path, holdings, images)
    alike = [match for match in matches if match.source.is_review == is_review(file)]
    match = (alike or matches)[0]
    _refuse_other_data(file, path, match, holdings, images)
    place = partial(_place, match=match, holdings=holdings, images=images)
    new = {name: place(name) for name in match.there if name not in match.here}
    image_ids = {**match.here, **new}
    taken = [str(each.relative_to(holdings.raw_dir)) for each in _beside(match.source, holdings).iterdir()]
    added = free_name(str(PurePosixPath(match.source.name).with_name(path.name)), taken)
    incoming = Incoming(
        path=path,
        target=match.source.name if alike else added,
        replaces=match.source.name if alike else None,
        image_ids=image_ids,
        new_pictures=_not_there_yet(
            {match.there[name]: holdings.raw_dir / image_id for name, image_id in new.items()}, path
        ),
        changes=_changes(file, image_ids, match.source if alike else None, holdings),
        lost=_lost(file, image_ids),
    )
    _refuse_lost(incoming, file, match.source.lost, images)
    return incoming


def _match(
    file: ViaFile, path: Path, source: Source, holdings: Holdings, images: PictureFolder | None
) -> _Match:
    here = _find_all(file, find_beside(source.name, holdings.folder))
    there: dict[str, Path] = {}
    if images is not None:
        # the place among --images that answers to the source's place among the pictures of the project
        place = os.path.relpath(_beside(source, holdings), holdings.images_dir)
        beside = images.images_dir / place
        beside = beside if beside.is_dir() and not place.startswith("..") else path.parent
        found = _find_all(file, partial(find_original, beside=beside, folder=images))
        there = {name: images.images_dir / image_id for name, image_id in found.items()}
    here = {name: id_ for name, id_ in here.items() if not _is_meant_there(name, id_, there.get(name))}
    differing = [
        name
        for name, image_id in here.items()
        if name in there and not _is_same(holdings.raw_dir / image_id, there[name])
    ]
    shared = {image_id for name, image_id in here.items() if name not in differing} & source.entries.keys()
    if _is_apart(source, holdings):  # beside it there is room for a picture of a name that others have, too
        here = {name: image_id for name, image_id in here.items() if name not in differing}
        differing = []
    return _Match(
        source=source,
        here=here,
        there=there,
        differing=differing,
        num_shared=len(shared),
        num_of_size=sum(_has_size(entry, here, holdings) for entry in file.entries),
    )


def _is_meant_there(filename: str, image_id: str, there: Path | None) -> bool:
    """Whether the whole path of a name is met only below --images, and here no more than its last part."""
    spellings = [PurePosixPath(os.path.normpath(each)).parts for each in relative_spellings(filename)]

    def is_met(parts: tuple[str, ...]) -> bool:
        return any(parts[-len(spelled) :] == spelled for spelled in spellings)

    return there is not None and is_met(there.parts) and not is_met(PurePosixPath(image_id).parts)


def _has_size(entry: ViaEntry, here: Mapping[str, str], holdings: Holdings) -> bool:
    image_id = here.get(entry.filename)
    return image_id is not None and (holdings.raw_dir / image_id).stat().st_size == entry.size_bytes


def _plan_apart(file: ViaFile, path: Path, holdings: Holdings, images: PictureFolder | None) -> Incoming:
    """Plan a file of pictures that are all new: they come into a folder of their own, as it names them."""
    if images is None:
        what = (
            f"names no picture of this project ({len(file.entries)} named, first {file.entries[0].filename})"
        )
        fix = "name an export of the data of this project; or add new pictures with --images FOLDER"
        raise DataError(str(path), what, fix)
    folder = free_name(path.stem, [each.name for each in holdings.raw_dir.iterdir()])
    found = _find_all(file, partial(find_original, beside=path.parent, folder=images))
    sources = {name: images.images_dir / image_id for name, image_id in found.items()}
    image_ids = {name: f"{folder}/{_as_named(name, source)}" for name, source in sources.items()}
    new = {sources[name]: holdings.raw_dir / image_id for name, image_id in image_ids.items()}
    if len(set(new.values())) < len(new):
        fix = "name each picture with its folder in the VIA file"
        raise DataError(str(path), "gives several pictures the same name", fix)
    incoming = Incoming(
        path=path,
        target=f"{folder}/{path.name}",
        replaces=None,
        image_ids=image_ids,
        new_pictures=new,
        changes=_changes(file, image_ids, None, holdings),
        lost=_lost(file, image_ids),
    )
    _refuse_lost(incoming, file, frozenset(), images)
    return incoming


def _find_all(file: ViaFile, find: Callable[[str], tuple[str | None, object]]) -> dict[str, str]:
    found = {entry.filename: find(entry.filename)[0] for entry in file.entries}
    return {name: image_id for name, image_id in found.items() if image_id is not None}


def _as_named(filename: str, source: Path) -> str:
    """Return the path at which a picture is found beside its annotation file, under the name it has there."""
    spellings = [os.path.normpath(each) for each in relative_spellings(filename)]
    inside = [each for each in spellings if not each.startswith("..")]
    same = [each for each in inside if PurePosixPath(each).name == source.name]
    return (same or inside or [source.name])[0]


def _place(name: str, match: _Match, holdings: Holdings, images: PictureFolder | None) -> str:
    """Return the image_id of a new picture: the path it has below --images, below those of the project."""
    source = match.there[name]
    if images is None or _is_apart(match.source, holdings):
        folder = PurePosixPath(match.source.name).parent
        return str(folder / _as_named(name, source))
    below = source.relative_to(images.images_dir)
    return (holdings.images_dir / below).relative_to(holdings.raw_dir).as_posix()


def _is_apart(source: Source, holdings: Holdings) -> bool:
    """Whether an annotation file has a folder of its own, with all its pictures beside it."""
    folder = PurePosixPath(source.name).parent
    is_among_all = _beside(source, holdings).is_relative_to(holdings.images_dir)
    return not is_among_all and all(PurePosixPath(each).is_relative_to(folder) for each in source.entries)


def _beside(source: Source, holdings: Holdings) -> Path:
    return (holdings.raw_dir / source.name).parent


def _not_there_yet(targets: Mapping[Path, Path], path: Path) -> dict[Path, Path]:
    taken = [target for source, target in targets.items() if target.exists() and not _is_same(source, target)]
    if taken:
        what = f"{len(taken)} new pictures have the name of others in the project, first {taken[0].name}"
        raise DataError(str(path), what, "rename them, in VIA too")
    return {source: target for source, target in targets.items() if not target.exists()}


def _changes(
    file: ViaFile, image_ids: Mapping[str, str], replaced: Source | None, holdings: Holdings
) -> list[PictureChanges]:
    new: dict[str, list[ViaEntry]] = {}
    for entry in file.entries:
        if entry.filename in image_ids:
            new.setdefault(image_ids[entry.filename], []).append(entry)
    if replaced is None or replaced.is_review:
        named = new.keys() | ({} if replaced is None else replaced.entries.keys())
        others = [source for source in holdings.sources if source is not replaced]
        return [
            _change_beside(image_id, new.get(image_id, []), others, holdings) for image_id in sorted(named)
        ]
    old = replaced.entries
    return [
        compare_picture(image_id, old.get(image_id, []), new.get(image_id, []), holdings.labels)
        for image_id in sorted(old.keys() | new.keys())
    ]


def _change_beside(
    image_id: str, new: Sequence[ViaEntry], others: Sequence[Source], holdings: Holdings
) -> PictureChanges:
    """Return what entries do to one picture that other files may annotate, too."""
    old = [entry for source in holdings.sources for entry in source.entries.get(image_id, [])]
    left = [entry for source in others for entry in source.entries.get(image_id, [])]
    before, after = _counting(old), _counting([*left, *new])
    changes = compare_picture(image_id, before, after, holdings.labels)
    state = changes.state
    if old and not before:  # named until now, and without anything that counted
        state = "changed" if after else "same"
    if not [*left, *new]:
        state = "removed"
    unchecked = bool(new) and all(is_unchecked(entry.file_attributes) for entry in new)
    return msgspec.structs.replace(changes, state=state, unchecked=unchecked)


def _counting(entries: Sequence[ViaEntry]) -> list[ViaEntry]:
    """Return those of a picture's entries that count: as in `formats.via.merge`, a check before all else."""
    checked = [entry for entry in entries if is_checked(entry.file_attributes)]
    return checked or [entry for entry in entries if not is_unchecked(entry.file_attributes)]


def _lost(file: ViaFile, image_ids: Mapping[str, str]) -> list[str]:
    return sorted({entry.filename for entry in file.entries} - image_ids.keys())


def _refuse_other_data(
    file: ViaFile, path: Path, match: _Match, holdings: Holdings, images: PictureFolder | None
) -> None:
    if match.differing:
        what = f"{len(match.differing)} pictures are others in --images than here, first {match.differing[0]}"
        fix = "leave --images out to keep those of the project; or make a new project of the new ones"
        raise DataError(str(path), what, fix)
    sized = [entry for entry in file.entries if entry.size_bytes is not None and entry.filename in match.here]
    other = [entry for entry in sized if not _has_size(entry, match.here, holdings)]
    if images is None and 2 * len(other) > len(sized):
        what = (
            f"names pictures as {match.source.name} does, but {len(other)} of {len(sized)} had another size"
        )
        fix = "if they are the same, say so with --images FOLDER; else it belongs into another project"
        raise DataError(str(path), what, fix)


def _refuse_lost(
    incoming: Incoming, file: ViaFile, lost_before: frozenset[str], images: PictureFolder | None
) -> None:
    lost = [name for name in incoming.lost if name not in lost_before]
    if not lost or (images is not None and 2 * len(lost) <= len(file.entries)):
        return
    where = "in the project" if images is None else f"below {images.images_dir}"
    what = f"{len(lost)} of {len(file.entries)} pictures are not {where}, first {lost[0]}"
    raise DataError(str(incoming.path), what, "name the folder that holds them with --images")


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths hold the same bytes; a hard link is known by its name alone."""
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
