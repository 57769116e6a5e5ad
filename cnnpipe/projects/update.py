"""Take newer annotation files into a project, whole or not at all: what changed is told first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cnnpipe import paths
from cnnpipe.annotations import PinnedSplit
from cnnpipe.errors import DataError, StorageError
from cnnpipe.files import read_jsonl, write_bytes
from cnnpipe.formats.picture_lookup import index_pictures
from cnnpipe.projects import linking, params_file
from cnnpipe.projects.holdings import Holdings, find_beside, read_holdings
from cnnpipe.projects.incoming import Incoming, plan
from cnnpipe.stages.ingest import annotation_files
from cnnpipe.stages.split import pin


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks of `update`."""

    annotations: Sequence[Path]
    images_dir: Path | None  # where pictures lie that the project does not have
    dry_run: bool  # tell only
    allow_removals: bool  # most pictures of a replaced file may go


class Updated(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken in, or would be."""

    files: Sequence[Incoming]
    pinned: Mapping[str, int]  # pictures whose split was pinned before


def update(root: Path, request: Request, say: Callable[[str], None]) -> Updated:
    """Take the files into the project in `root`. Until the last step a reader of it sees the old state.

    Raises:
        ParamsError: no project, or the demo.
        DataError: a file is refused; nothing is changed.
        StorageError: the disk cannot hold the new pictures; nothing is changed.
    """
    holdings = read_holdings(root)
    images = None
    if request.images_dir is not None:
        if not request.images_dir.is_dir():
            raise DataError(str(request.images_dir), "no such folder", "name the folder of the pictures")
        images = index_pictures(request.images_dir, request.images_dir)
    files = [plan(path, holdings, images) for path in request.annotations]
    _refuse_clash(files)
    if not request.allow_removals:
        for incoming in files:
            _refuse_removals(incoming)
    if request.dry_run:
        return Updated(files=files, pinned={})
    newer = [each for each in files if not _is_unchanged(each, holdings.raw_dir)]
    if not newer:
        return Updated(files=files, pinned={})
    try:
        with _pictures_brought(holdings, newer, say):
            _check_found(holdings, newer)
            pinned = _pin_first(root)
            _write(root, holdings, newer)
    except PermissionError as error:
        where = str(error.filename or holdings.raw_dir)
        raise StorageError(where, f"cannot be written: {error.strerror}", "see whose file it is") from error
    return Updated(files=files, pinned=pinned)


def _is_unchanged(incoming: Incoming, raw_dir: Path) -> bool:
    """Whether the project holds the very bytes of a file already."""
    target = raw_dir / incoming.target
    return target.exists() and target.read_bytes() == incoming.path.read_bytes()


def _refuse_clash(files: Sequence[Incoming]) -> None:
    first: dict[str, Path] = {}
    for incoming in files:
        if first.setdefault(incoming.target, incoming.path) != incoming.path:
            what = f"would take the place of {incoming.target}, as {first[incoming.target]} would"
            raise DataError(str(incoming.path), what, "take in one of them, then look at the other")


def _refuse_removals(incoming: Incoming) -> None:
    gone = [each.image_id for each in incoming.changes if each.state == "removed"]
    before = sum(each.state != "added" for each in incoming.changes)
    if 2 * len(gone) > before:
        what = f"lacks {len(gone)} of the {before} pictures of {incoming.replaces}, first {gone[0]}"
        fix = "export the whole project from VIA; or say --allow-removals, if they are to go"
        raise DataError(str(incoming.path), what, fix)


@contextmanager
def _pictures_brought(
    holdings: Holdings, files: Sequence[Incoming], say: Callable[[str], None]
) -> Iterator[None]:
    """Bring the new pictures in for the block; where it fails, they go again."""
    targets = {source: target for each in files for source, target in each.new_pictures.items()}
    try:
        if targets:
            linking.bring_pictures(targets, holdings.raw_dir, say)
        yield
    except BaseException:
        for target in targets.values():
            target.unlink(missing_ok=True)
            _remove_empty_parents(target, holdings.raw_dir)
        raise


def _remove_empty_parents(path: Path, up_to: Path) -> None:
    for parent in path.parents:
        if parent == up_to or not parent.is_dir() or any(parent.iterdir()):
            return
        parent.rmdir()


def _check_found(holdings: Holdings, files: Sequence[Incoming]) -> None:
    """Refuse what would make a name mean another picture than it is planned to, or than it does now."""
    folder = index_pictures(holdings.raw_dir, holdings.images_dir)
    replaced = {incoming.replaces for incoming in files}
    for source in holdings.sources:
        if source.name not in replaced:
            meant = {e.filename: image_id for image_id, entries in source.entries.items() for e in entries}
            _check_names(meant, source.name, find_beside(source.name, folder))
    for incoming in files:
        _check_names(incoming.image_ids, str(incoming.path), find_beside(incoming.target, folder))


def _check_names(
    meant: Mapping[str, str], where: str, find: Callable[[str], tuple[str | None, object]]
) -> None:
    for filename, image_id in meant.items():
        found, _ = find(filename)
        if found != image_id:
            what = f"{filename} would mean {found or 'several pictures'}, and not {image_id}"
            raise DataError(where, what, "name each picture with its folder in the VIA file")


def _pin_first(root: Path) -> Mapping[str, int]:
    """Pin the present splits where none is pinned yet, so that what judged goes on judging."""
    pinned, splits = root / paths.PINNED_SPLITS, root / paths.SPLITS
    if not splits.exists() or (pinned.exists() and read_jsonl(pinned, PinnedSplit)):
        return {}
    return pin(root / paths.VALIDATED, splits, pinned, spread=False)


def _write(root: Path, holdings: Holdings, files: Sequence[Incoming]) -> None:
    """Write all beside their places, then put them there; what makes a file count comes last."""
    targets = {each.target: holdings.raw_dir / each.target for each in files}
    parts = {name: target.with_name(f"{target.name}.part") for name, target in targets.items()}
    added = [each.target for each in files if each.replaces is None]
    try:
        for each in files:
            targets[each.target].parent.mkdir(parents=True, exist_ok=True)
            parts[each.target].write_bytes(each.path.read_bytes())
        for name in added:  # counts for nothing until params.yaml names it, unless a pattern there does
            parts[name].replace(targets[name])
        params = _params_with(root, holdings, added)
    except BaseException:
        for path in (*parts.values(), *(targets[name] for name in added)):
            path.unlink(missing_ok=True)
        raise
    for name in targets.keys() - set(added):
        parts[name].replace(targets[name])
    if params is not None:
        write_bytes(root / paths.PARAMS, params)


def _params_with(root: Path, holdings: Holdings, added: list[str]) -> bytes | None:
    """Return params.yaml with the files that it does not name yet; None: it names all."""
    if not added:
        return None
    named, _ = annotation_files(holdings.raw_dir, holdings.params.annotations)
    unnamed = [name for name in added if name not in named]
    return params_file.with_annotations(root / paths.PARAMS, unnamed) if unnamed else None
