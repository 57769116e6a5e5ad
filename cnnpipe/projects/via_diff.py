"""Two VIA files compared, whatever kinds they are."""

from pathlib import Path

from cnnpipe.formats.via.file_changes import FileDifference, compare_files
from cnnpipe.projects.via_files import read_all
from cnnpipe.projects.via_label import label_of_files


def diff_files(old: Path, new: Path, label: str | None) -> FileDifference:
    """Return what differs between two files.

    Raises:
        DataError: one cannot be read, or nothing has a value of `label`.
    """
    files = read_all([old, new])
    chosen = label_of_files(files, label)
    attribute = chosen.attribute if chosen.part == "region" else None
    return compare_files(files[0][1], files[1][1], attribute)
