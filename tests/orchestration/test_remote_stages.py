"""What a sender learns of a stage that failed on a worker, and what it sends of dvc.lock."""

from pathlib import Path

import pytest

from cnnpipe.errors import BusyError, CnnpipeError, StorageError
from cnnpipe.orchestration.flow.sending import _error, lock_of


@pytest.mark.parametrize(
    ("message", "kind", "what", "fix"),
    [
        (
            "Flow run encountered an exception: StorageError: the disk: is full: 0 bytes\n  fix: free it",
            StorageError,
            "the disk: is full: 0 bytes",
            "free it",
        ),
        (
            "Flow run encountered an exception: BusyError: stage train@x: process 7 runs it now\n  fix: wait",
            BusyError,
            "stage train@x: process 7 runs it now",
            "wait",
        ),
        (
            "Flow run process exited with status code -9",
            CnnpipeError,
            "ended crashed: Flow run process exited with status code -9",
            "its log in Prefect's pages says why",
        ),
    ],
)
def test_a_failure_elsewhere_keeps_its_class_and_words(
    message: str, kind: type[CnnpipeError], what: str, fix: str
) -> None:
    error = _error("flow run a in pool gpu", "Crashed", message)
    assert type(error) is kind
    assert (error.where, error.what, error.fix) == ("flow run a in pool gpu", what, fix)


def test_only_what_a_stage_needs_of_the_lock_is_sent(tmp_path: Path) -> None:
    text = "schema: '2.0'\nstages:\n  a: {cmd: x}\n  b: {cmd: y}\n"
    (tmp_path / "dvc.lock").write_text(text, encoding="utf-8")
    assert lock_of(tmp_path, ["a", "c"]) == {"schema": "2.0", "stages": {"a": {"cmd": "x"}}}


def test_without_a_lock_nothing_is_sent(tmp_path: Path) -> None:
    assert lock_of(tmp_path, ["a"]) == {"schema": "2.0", "stages": {}}


def test_a_broken_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("stages: {a: [", encoding="utf-8")
    with pytest.raises(CnnpipeError, match="cannot be read"):
        lock_of(tmp_path, ["a"])
