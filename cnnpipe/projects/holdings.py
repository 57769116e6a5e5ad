"""What a project holds now: its annotation files, the pictures they name, and how it finds them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from cnnpipe import paths
from cnnpipe.annotations import Finding
from cnnpipe.errors import ParamsError
from cnnpipe.formats.picture_lookup import PictureFolder, find_picture
from cnnpipe.formats.via.labels import attributes_in_use, guess_label_attribute
from cnnpipe.formats.via.merge import NamedEntry, by_picture, name_pictures
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.records import ViaEntry, ViaFile
from cnnpipe.formats.via.review import REVIEW_ATTRIBUTE
from cnnpipe.params.augment import AugmentParams
from cnnpipe.params.ingest import IngestParams
from cnnpipe.params.load import load_section, read_yaml
from cnnpipe.params.validate import ValidateParams
from cnnpipe.projects.changes import Labels
from cnnpipe.stages.ingest import annotation_files, picture_folder


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An annotation file of the project."""

    name: str  # POSIX path below the raw folder
    file: ViaFile
    entries: dict[str, list[ViaEntry]]  # by image_id
    lost: frozenset[str]  # file names in it that mean no picture

    @property
    def is_review(self) -> bool:
        """Whether it came from `cnnpipe predict --via`."""
        return is_review(self.file)


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a project. An image_id is a path below `raw_dir`."""

    raw_dir: Path  # absolute, resolved
    params: IngestParams
    folder: PictureFolder
    sources: Sequence[Source]
    labels: Labels

    @property
    def images_dir(self) -> Path:
        """The folder in which pictures are looked for."""
        return self.folder.images_dir


def read_holdings(root: Path) -> Holdings:
    """Return what the project in `root` holds.

    Raises:
        ParamsError: no project, the demo, or one whose raw folder lies elsewhere.
        DataError: an annotation file of the project cannot be read.
    """
    params_file = root / paths.PARAMS
    params = load_section(params_file, "ingest", IngestParams)
    if "sample" in read_yaml(params_file):
        fix = "make a project of your own with `cnnpipe init`"
        raise ParamsError(str(params_file), "is the demo, whose data is made by stage `sample`", fix)
    raw_dir = (root / params.raw_dir).resolve()
    if not raw_dir.is_relative_to(root.resolve()):
        fix = "put the new export there yourself: `update` writes in the project only"
        raise ParamsError(str(params_file), f"ingest.raw_dir lies outside of the project: {raw_dir}", fix)
    params = params.model_copy(update={"raw_dir": str(raw_dir)})
    folder = picture_folder(params)
    names, _ = annotation_files(raw_dir, params.annotations)
    sources = [_read_source(raw_dir, name, folder) for name in names]
    validate = load_section(params_file, "validate", ValidateParams)
    views = load_section(params_file, "augment", AugmentParams)
    return Holdings(
        raw_dir=raw_dir,
        params=params,
        folder=folder,
        sources=sources,
        labels=_labels(validate, views, sources),
    )


def find_beside(name: str, folder: PictureFolder) -> partial[tuple[str | None, list[Finding]]]:
    """Return the look-up of an annotation file that is called `name` below the raw folder."""
    return partial(find_picture, beside=(folder.raw_dir / name).parent, folder=folder)


def is_review(file: ViaFile) -> bool:
    """Whether a VIA file holds what a network found, checked or not."""
    return any(REVIEW_ATTRIBUTE in entry.file_attributes for entry in file.entries)


def entries_by_picture(named: Sequence[NamedEntry]) -> dict[str, list[ViaEntry]]:
    """Return the entries of one file, by image_id."""
    return {image_id: [each.entry for each in entries] for image_id, entries in by_picture(named).items()}


def _read_source(raw_dir: Path, name: str, folder: PictureFolder) -> Source:
    file = read_via(raw_dir / name, where=name)
    named, _ = name_pictures(file, name, find_beside(name, folder))
    found = {each.entry.key for each in named}
    lost = frozenset(entry.filename for entry in file.entries if entry.key not in found)
    return Source(name=name, file=file, entries=entries_by_picture(named), lost=lost)


def _labels(validate: ValidateParams, views: AugmentParams, sources: Sequence[Source]) -> Labels:
    attribute: str | None = validate.label_attribute
    if attribute == "auto":
        regions = (region for source in sources for entry in source.file.entries for region in entry.regions)
        attribute = guess_label_attribute(attributes_in_use(region.attributes for region in regions))
    numbers = {} if views.regress is None else {views.regress.source: views.regress.attribute}
    return Labels(
        of_region=attribute,
        of_picture=validate.image_label_attribute,
        number_of_region=numbers.get("objects"),
        number_of_picture=numbers.get("pictures"),
    )
