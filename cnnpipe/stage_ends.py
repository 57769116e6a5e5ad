"""How the last process of a stage ended, in a file: `dvc repro` turns every failure into exit 255."""

from pathlib import Path

import msgspec

from cnnpipe import paths


class StageEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How the last process of a stage ended: .cnnpipe/state/<stage>.json."""

    stage: str
    exit_code: int
    error: str | None  # class and text of an expected error
    seconds: float
    ended_at: float  # seconds since 1970


def end_file(stage: str) -> Path:
    """Return the file that holds the `StageEnd` of a stage, e.g. of train@lenet."""
    return paths.state_dir() / "state" / f"{stage}.json"
