"""Where a run comes from: git, DVC, and the process that keeps it open."""

import os
import subprocess
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from cnnpipe.tracking import processes
from cnnpipe.tracking.provenance import data_hash, git_tags

VIEW = {"data/augmented/classify/view.json": "b" * 64}
LOCK = """
schema: '2.0'
stages:
  split:
    outs:
    - {path: data/splits.jsonl, hash: md5, md5: 11111111111111111111111111111111}
  augment@classify:
    outs:
    - {path: data/augmented/classify, hash: md5, md5: 22222222222222222222222222222222.dir}
"""


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("changed", "is_dirty"),
    [(None, "false"), ("params.yaml", "true"), ("new.py", "true"), ("dvc.lock", "false")],
    ids=["nothing", "a tracked file", "a new file", "only the lock of this very run"],
)
def test_commit_and_dirty_flag(changed: str | None, is_dirty: str, project_dir: Path) -> None:
    for name in ("params.yaml", "dvc.lock"):
        Path(name).write_text("a: 1\n", encoding="utf-8")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    if changed is not None:
        Path(changed).write_text("a: 2\n", encoding="utf-8")
    tags = git_tags()
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert tags == {"mlflow.source.git.commit": head.strip(), "cnnpipe.git_dirty": is_dirty}


def test_without_a_commit_there_is_no_tag(project_dir: Path) -> None:
    assert git_tags() == {}
    git("init", "-q")
    assert git_tags() == {}


def test_without_git_there_is_no_tag(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project_dir))
    assert git_tags() == {}


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        (LOCK, "22222222222222222222222222222222.dir"),
        (None, "b" * 64),
        ("stages: {", "b" * 64),
        ("[]", "b" * 64),
        ("stages: {split: {cmd: x}}", "b" * 64),
    ],
    ids=["dvc", "no lock", "torn", "no mapping", "not there"],
)
def test_data_is_named_by_dvc_where_dvc_knows_it(lock: str | None, expected: str, project_dir: Path) -> None:
    if lock is not None:
        Path("dvc.lock").write_text(lock, encoding="utf-8")
    assert data_hash(VIEW) == expected


def test_a_process_is_known_by_more_than_its_number() -> None:
    own = processes.own_tags()
    assert not processes.is_gone(own)
    earlier = {**own, processes.STARTED: str(float(own[processes.STARTED]) - 60)}
    assert processes.is_gone(earlier), "the number was given to another process"
    assert not processes.is_gone({**earlier, processes.HOST: "elsewhere"})
    assert processes.is_gone({**own, processes.PID: "no number"})
    assert processes.is_gone({processes.HOST: own[processes.HOST]})


def test_a_process_that_ended_is_gone_before_it_is_reaped() -> None:
    child = subprocess.Popen(["sleep", "60"])
    started = psutil.Process(child.pid).create_time()
    tags = {**processes.own_tags(), processes.PID: str(child.pid), processes.STARTED: str(started)}
    assert not processes.is_gone(tags)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.is_gone(tags)
    child.wait()
    assert processes.is_gone(tags)
