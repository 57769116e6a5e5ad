"""The peer of the no-op benchmark must be what it says: the same shape, and nothing to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.noop import DVC_REPRO, make_peer, peer_stage, stages_run
from benchmarks.side_by_side import Contest, Runner, hold

DVC_YAML = """
stages:
  first:
    cmd: mkdir -p data/a && echo 1 > data/a/x
    always_changed: true
    params: [n]
    outs: [data/a]
  second:
    foreach: [p, q]
    do:
      cmd: cp data/a/x out-${item}
      deps: [data/a]
      outs: [{"out-${item}": {cache: false}}]
"""


def test_a_stage_of_the_peer_has_the_shape_of_the_entry() -> None:
    entry = {
        "cmd": "work",
        "deps": [{"path": "a", "md5": "1"}, {"path": "b", "md5": "2"}],
        "params": {"params.yaml": {"x": 1, "y.z": 2}},
        "outs": [{"path": "c", "md5": "3"}],
    }
    assert peer_stage(entry) == {
        "cmd": "true",
        "deps": ["a", "b"],
        "params": [{"params.yaml": ["x", "y.z"]}],
        "outs": ["c"],
    }
    assert peer_stage({"cmd": "work"}) == {"cmd": "true"}


@pytest.mark.slow
def test_the_peer_has_every_stage_and_nothing_to_do(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    (ours / "params.yaml").write_text("n: 1\n")
    (ours / ".gitignore").write_text("/data/a\n")
    (ours / "dvc.yaml").write_text(DVC_YAML)
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=ours, check=True, capture_output=True)
    assert stages_run(Runner("ours", DVC_REPRO, ours)) == {"first", "second@p", "second@q"}
    make_peer(ours, theirs)
    assert stages_run(Runner("theirs", DVC_REPRO, theirs)) == set()
    (theirs / "data/a/x").write_text("2\n")
    assert stages_run(Runner("theirs", DVC_REPRO, theirs)) == {"first"}, "the peer does not look at its files"


@pytest.mark.parametrize(("bound", "code"), [(1e9, 0), (1e-9, 1)])
def test_a_passed_bound_is_a_failure_with_a_result(tmp_path: Path, bound: float, code: int) -> None:
    true = Runner("true", ("true",), tmp_path)
    assert hold(Contest(true, true, bound), rounds=3, out=tmp_path / "r/result.json") == code
    assert '"ratio"' in (tmp_path / "r/result.json").read_text()


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="broken ended with 3"):
        Runner("broken", ("sh", "-c", "exit 3"), tmp_path).seconds()
