"""What a training tells MLflow, kept on disk until it is told."""

from pathlib import Path

import pytest

from cnnpipe.tracking.spool import Spool


def test_an_epoch_keeps_its_moment_and_its_seconds(project_dir: Path) -> None:
    first = Spool("a").keep({"epoch": 1, "step": 4, "loss": 0.5, "time/epoch_seconds": 2.0}, 4)
    assert "step" not in first.metrics
    again = Spool("a").keep({"epoch": 1, "step": 4, "loss": 0.5}, 4)  # of a checkpoint: it has no seconds
    assert again.time_ms == first.time_ms
    assert again.metrics["time/epoch_seconds"] == 2.0
    assert Spool("a").read() == {4: first}
    assert Spool("b").read() == {}


def test_a_torn_line_is_left_out(project_dir: Path) -> None:
    spool = Spool("a")
    spool.keep({"loss": float("nan")}, 1)
    path = Path(".cnnpipe/unsent/a.jsonl")
    path.write_bytes(path.read_bytes() + b'{"step": 2, "ti')
    assert {step: epoch.metrics for step, epoch in spool.read().items()} == {1: {"loss": None}}
    spool.remove()
    spool.remove()
    assert spool.read() == {}


def test_a_disk_that_takes_no_note_is_a_warning(project_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    Path(".cnnpipe").write_text("a file", encoding="utf-8")
    spool = Spool("a")
    assert [spool.keep({"loss": 1.0}, step).step for step in (1, 2)] == [1, 2]
    assert len(caplog.records) == 1
    assert "the seconds of epochs may get lost" in caplog.text
