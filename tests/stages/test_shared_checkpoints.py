"""Checkpoints that clones share: a killed training is gone on from in another clone, and by one at a time."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_projects

from cnnpipe import files
from cnnpipe.cli.main import run
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord

pytestmark = pytest.mark.slow

_STAGES = (["code"], ["sample"], ["ingest"], ["validate"], ["split"], ["augment", "classify"])
_TRAIN = ["train", "lenet"]
_OUT = Path("models/lenet")


@pytest.fixture
def clones(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """Return three clones, each with the data that training reads."""
    alone = tiny_projects.make_tiny_project(tmp_path / "alone", experiments={"lenet": {"epochs": 6}})
    monkeypatch.chdir(alone)
    for stage in _STAGES:
        end(stage)
    shutil.copyfile(empty_store, alone / "mlflow.db")
    shutil.rmtree(".cnnpipe")
    first, second = (Path(shutil.copytree(alone, tmp_path / name)) for name in ("first", "second"))
    return alone, first, second


def end(command: list[str]) -> int:
    """Run a command in this process and return its exit code: to import torch takes seconds."""
    try:
        return run(command)
    except SystemExit as ended:
        return int(ended.code or 0)


def digests(clone: Path) -> dict[str, str]:
    return {path.name: files.sha256_of_file(path) for path in sorted((clone / _OUT).iterdir())}


def test_a_killed_training_goes_on_in_another_clone_and_by_one_at_a_time(
    clones: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    alone, first, second = clones
    assert end(_TRAIN) == 0
    checkpoints = tmp_path / "checkpoints"
    monkeypatch.setenv("CNNPIPE_CHECKPOINTS", str(checkpoints))
    command = [sys.executable, "-m", "cnnpipe", *_TRAIN]
    environment = tiny_projects.environment(CNNPIPE_CHECKPOINTS=str(checkpoints))
    monkeypatch.chdir(second)
    with subprocess.Popen(command, cwd=first, env=environment, stderr=subprocess.PIPE, text=True) as training:
        try:
            assert training.stderr is not None
            assert any(line.startswith("epoch 2/6") for line in iter(training.stderr.readline, ""))
            training.send_signal(signal.SIGSTOP)  # in the midst of an epoch, for as long as it is needed
            assert end(_TRAIN) == 75
        finally:
            training.kill()
    told = f"error: train@lenet: process {training.pid} (train@lenet in first) trains the same now"
    assert told in capsys.readouterr().err
    assert not (second / _OUT).exists()
    (signature,) = (each for each in checkpoints.iterdir() if each.is_dir())
    caplog.clear()
    assert end(_TRAIN) == 0
    assert "going on after epoch" in caplog.text
    assert "epoch 1/6" not in caplog.text
    assert files.read_json(second / _OUT / RUN_FILE, RunRecord).signature == signature.name
    assert len(files.read_jsonl(second / _OUT / HISTORY_FILE, Epoch)) == 6
    assert digests(second) == digests(alone)
    assert list(checkpoints.iterdir()) == []  # neither the folder nor its lock is left
    assert not list((second / ".cnnpipe").glob("checkpoints/*"))
