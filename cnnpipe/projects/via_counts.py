"""VIA files counted, with the sizes of their pictures where those are given."""

from collections.abc import Sequence
from pathlib import Path

from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.stats import Stats, compute_stats
from cnnpipe.projects.via_files import read_all, sizes_of
from cnnpipe.projects.via_label import label_of_files


def count_files(paths: Sequence[Path], images_dir: Path | None, label: str | None) -> Stats:
    """Return what the files hold together.

    Raises:
        DataError: one cannot be read, nothing has a value of `label`, or `images_dir` is no folder.
    """
    files = read_all(paths)
    chosen = label_of_files(files, label)
    labelling = Labelling(attribute=chosen.attribute if chosen.part == "region" else None)
    sizes = (
        []
        if images_dir is None
        else [sizes_of(file, path, images_dir) for path, (_, file) in zip(paths, files, strict=True)]
    )
    return compute_stats([file for _, file in files], labelling, sizes)
