"""Two processes share each batch: the numbers of one, and after a kill those of no kill."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_projects
import torch
from ruamel.yaml import YAML

from cnnpipe import files
from cnnpipe.cli.main import run
from cnnpipe.training.records import HISTORY_FILE, Epoch

pytestmark = pytest.mark.slow

_STAGES = (["code"], ["sample"], ["ingest"], ["validate"], ["split"], ["augment", "classify"])
_TRAIN = ["train", "lenet"]
_OUT = Path("models/lenet")
# 63 pictures: the last batch of 11 is an odd number for two; the kill comes within an epoch of 5 steps
_RECIPE = {"epochs": 3, "batch_size": 13, "clip_norm": 1.0, "penalties": {"l1": 0.0, "l2": 1e-4}}


def end(command: list[str]) -> int:
    """Run a command in this process and return its exit code."""
    try:
        return run(command)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose view is made, with checkpoints at every second step."""
    made = tiny_projects.make_tiny_project(
        tmp_path / "p",
        experiments={"lenet": _RECIPE},
        changes={"train": {"checkpoint_steps": 2}},
    )
    monkeypatch.chdir(made)
    for stage in _STAGES:
        assert end(stage) == 0
    shutil.copyfile(empty_store, made / "mlflow.db")
    return made


def use_processes(number: int) -> None:
    path = Path("params.yaml")
    params = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    params["train"]["processes"] = number
    tiny_projects.write_params(Path(), params)


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def digests() -> dict[str, str]:
    return {path.name: files.sha256_of_file(path) for path in sorted(_OUT.iterdir())}


def test_two_processes_find_the_numbers_of_one_and_bear_a_kill(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert end(_TRAIN) == 0
    alone = files.read_jsonl(_OUT / HISTORY_FILE, Epoch)
    use_processes(2)
    assert end(_TRAIN) == 0
    assert "by 2 processes" in caplog.text
    assert not torch.distributed.is_initialized()
    assert "RANK" not in os.environ
    together = files.read_jsonl(_OUT / HISTORY_FILE, Epoch)
    for one, two in zip(alone, together, strict=True):
        assert two == pytest.approx(one, rel=1e-5, abs=1e-5)
    whole = digests()
    shutil.rmtree(_OUT)
    command = [sys.executable, "-m", "cnnpipe", *_TRAIN]
    with subprocess.Popen(
        command, env=tiny_projects.environment(), stderr=subprocess.PIPE, text=True
    ) as training:
        assert training.stderr is not None
        assert any(line.startswith("epoch 1/3") for line in iter(training.stderr.readline, ""))
        (follower,) = children_of(training.pid)
        training.send_signal(signal.SIGKILL)
    assert not _OUT.exists()
    caplog.clear()
    assert end(_TRAIN) == 0
    assert "going on after epoch" in caplog.text
    assert digests() == whole
    assert not Path(f"/proc/{follower}").exists()


def test_a_follower_that_fails_is_told_with_its_last_words(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the follower meets the trap: it alone is started anew, and imports what PYTHONPATH says."""
    use_processes(2)
    trap = project / "trap"
    trap.mkdir()
    (trap / "sitecustomize.py").write_text("raise SystemExit('no room for another')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(trap))
    assert end(_TRAIN) == 1
    told = capsys.readouterr().err
    assert "process 1 of 2 ended with 1: " in told
    assert "no room for another" in told
    assert not _OUT.exists()
