"""Make a project around the user's annotation files and pictures, whole or not at all."""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe import paths
from cnnpipe.errors import BusyError, ParamsError, StorageError
from cnnpipe.files import write_bytes
from cnnpipe.formats.via.label_map import read_label_map
from cnnpipe.formats.via.labelling import LabelText
from cnnpipe.projects import linking, scaffold, sizing, versioning
from cnnpipe.projects.layout import Layout, lay_out
from cnnpipe.projects.originals import Originals, read_originals
from cnnpipe.projects.sizing import Sized
from cnnpipe.projects.survey import Survey, Task, Wishes, WithoutRegions, survey

_MARK: Final = (
    ".cnnpipe/init.lock"  # in an unfinished project: whose it is, and whether it is still being made
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks of `init`."""

    directory: Path
    annotations: Sequence[Path]
    images_dir: Path
    task: Task
    label: str | None  # the attribute with the class or number; None: guess
    labels: Path | None = None  # a file that says which class each spelling means
    label_text: LabelText | None = None  # None: by the kind of the files
    default_label: str | None = None  # class of a region that says none; None: it is left out
    without_regions: WithoutRegions | None = None  # None: by how many pictures have none


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The project that was made."""

    directory: Path
    survey: Survey
    git: versioning.Place
    is_signed: bool  # the first commit has the user's identity
    replaced_empty: bool  # an empty folder of that name was there
    unusual: Mapping[str, Sized]  # params that the data made differ from what is usual


def init(request: Request, say: Callable[[str], None]) -> Made:
    """Make the project. The user's files are read and linked, never changed.

    Args:
        request: what is wanted.
        say: told what is about to be done, a line each.

    Raises:
        ParamsError: the folder is not new, or lies among the pictures.
        DataError: an annotation file, the map of labels, the attribute, or the pictures are of no use.
        StorageError: the disk cannot hold the pictures, or the folder cannot be written.
        BusyError: another process makes this very project.
    """
    directory = request.directory.resolve()
    replaced_empty = _refuse_taken(directory, request.images_dir.resolve())
    wishes = _wishes(request)
    with _unfinished(directory) as part:
        originals = read_originals(request.annotations, request.images_dir)
        found = survey(originals, wishes)
        choice = f"{scaffold.learnt(found)} is {found.label.attribute!r} ({found.label.why})"
        say(f"found {scaffold.describe(found)}; {choice}")
        layout = lay_out(originals)
        _bring_data(part / paths.RAW, originals, layout, say)
        files = scaffold.write_project_files(part, directory.name, found, layout)
        files += [f"{paths.RAW.as_posix()}/{each}" for each in layout.annotations]
        git = versioning.find_place(directory)
        if git == "none":
            scaffold.without_git(part)
        is_signed = git == "own" and versioning.commit_first(part, files)
    return Made(
        directory=directory,
        survey=found,
        git=git,
        is_signed=is_signed,
        replaced_empty=replaced_empty,
        unusual=sizing.unusual(found),
    )


def _wishes(request: Request) -> Wishes:
    return Wishes(
        task=request.task,
        label=request.label,
        label_map=read_label_map(request.labels) if request.labels is not None else {},
        label_text=request.label_text,
        default_label=request.default_label,
        without_regions=request.without_regions,
    )


def _refuse_taken(directory: Path, images_dir: Path) -> bool:
    """Refuse a folder that cannot become the project; return whether it is there, empty."""
    if directory.is_relative_to(images_dir):
        fix = "name a folder outside of it: else its copies are pictures there, too"
        raise ParamsError(str(directory), f"lies in the folder of the pictures, {images_dir}", fix)
    try:
        exists = directory.exists()
        is_taken = exists and (not directory.is_dir() or any(directory.iterdir()))
    except PermissionError as error:
        raise _unwritable(directory, error) from error
    if is_taken:
        fix = "name a new folder; to take in a newer export, run `cnnpipe update` in the project"
        raise ParamsError(str(directory), "exists and is not empty", fix)
    return exists


@contextmanager
def _unfinished(directory: Path) -> Iterator[Path]:
    """Yield an empty folder beside `directory`, which becomes `directory` when the block succeeds.

    What a killed run left there is removed first, and nothing that is not such a leftover.

    Raises:
        BusyError: another process is making this project.
        ParamsError: a folder of that name is not ours.
        StorageError: the folder cannot be made.
    """
    part = directory.with_name(f"{directory.name}.part")
    if part.exists() and not (part / _MARK).is_file():
        fix = "move it away: the project is built there before it gets its name"
        raise ParamsError(str(part), "exists and was not left by cnnpipe", fix)
    try:
        (part / _MARK).parent.mkdir(parents=True, exist_ok=True)
        mark = (part / _MARK).open("a", encoding="utf-8")
    except OSError as error:
        raise _unwritable(directory, error) from error
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(str(directory), "is being made by another process", "wait for its end") from error
        try:
            _empty(part)
            yield part
            _name(part, directory)
        except BaseException:
            _empty(part)
            shutil.rmtree(part, ignore_errors=True)
            raise
    (directory / _MARK).unlink()


def _unwritable(directory: Path, error: OSError) -> StorageError:
    what = f"cannot be made: {error.strerror}"
    return StorageError(str(directory), what, "name a folder that you may write to")


def _name(part: Path, directory: Path) -> None:
    try:
        part.replace(directory)  # an empty folder may stand there
    except OSError as error:
        what = f"the project cannot get its name: {error.strerror}"
        raise StorageError(str(directory), what, "move away what is there, and run it again") from error


def _empty(part: Path) -> None:
    """Remove what is in the folder but the mark, so that the leftover of a killed run is known to the end."""
    for path in part.iterdir():
        if path.name == Path(_MARK).parts[0]:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _bring_data(raw_dir: Path, originals: Originals, layout: Layout, say: Callable[[str], None]) -> None:
    """Fill data/raw: annotation files are copied, pictures linked where that can be."""
    raw_dir.mkdir(parents=True)
    for annotations, target in zip(originals.annotations, layout.annotations, strict=True):
        write_bytes(raw_dir / target, annotations.path.read_bytes())
    image_ids = sorted({each.image_id for each in originals.named} | originals.namesakes)
    targets = {
        originals.images_dir / image_id: raw_dir / layout.images_dir / image_id for image_id in image_ids
    }
    there = {source: target for source, target in targets.items() if source.is_file()}  # no broken links
    linking.bring_pictures(there, raw_dir, say)
