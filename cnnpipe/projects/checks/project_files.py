"""params.yaml whole, and the data it points at."""

from collections.abc import Sequence
from pathlib import Path

from cnnpipe import paths
from cnnpipe.errors import DataError
from cnnpipe.params.document import Document
from cnnpipe.params.ingest import IngestParams
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.checks.facts import Facts
from cnnpipe.projects.checks.results import Result, error, note, ok


def check_params(_facts: Facts) -> list[Result]:
    """Check all of params.yaml; its faults are told together.

    Raises:
        ParamsError: the file is missing or has faults.
    """
    document = check(read_yaml(paths.PARAMS), Document, where=str(paths.PARAMS), section="")
    return [ok("params.yaml", f"valid; experiments: {', '.join(document.experiments)}")]


def check_data(facts: Facts) -> list[Result]:
    """Look for the raw folder, the annotation files and the folder of pictures."""
    if facts.document is None:
        return []  # the check of params.yaml tells why
    params = facts.document.ingest
    raw_dir = Path(params.raw_dir)
    if not raw_dir.is_dir() and facts.document.sample is not None and raw_dir == paths.RAW:
        return [note("data", f"{raw_dir} is not there yet", "cnnpipe repro makes it: stage `sample`")]
    if not raw_dir.is_dir():
        fix = "put the pictures and the VIA file there, or set ingest.raw_dir"
        return [error("data", f"there is no folder {raw_dir}", fix, DataError)]
    return _missing(raw_dir, params) or [ok("data", f"{raw_dir}: {', '.join(params.annotations)}")]


def _missing(raw_dir: Path, params: IngestParams) -> list[Result]:
    faults = [
        error("data", f"{raw_dir}/{pattern}: no annotation file there", _there(raw_dir), DataError)
        for pattern in params.annotations
        if not _matches(raw_dir, pattern)
    ]
    if not (raw_dir / params.images_dir).is_dir():
        what = f"there is no folder {raw_dir / params.images_dir}"
        faults.append(error("data", what, "set ingest.images_dir in params.yaml", DataError))
    return faults


def _matches(raw_dir: Path, pattern: str) -> Sequence[Path]:
    exact = raw_dir / pattern  # a name with brackets is no pattern if it exists
    try:
        return [exact] if exact.is_file() else [path for path in raw_dir.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError):  # empty, or absolute
        return []


def _there(raw_dir: Path) -> str:
    lying = sorted(path.relative_to(raw_dir).as_posix() for path in raw_dir.rglob("*.json"))
    there = f"there are: {', '.join(lying[:10])}" if lying else "no .json file lies there"
    return f"set ingest.annotations in params.yaml; {there}"
