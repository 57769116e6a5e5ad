"""The command line as a user meets it: real processes, their exit codes and their words."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGES = [
    "code",
    "sample",
    "ingest",
    "validate",
    "split",
    "augment",
    "train",
    "evaluate",
    "compare",
    "register",
]
COMMANDS = [*STAGES, "repro", "lock", "results", "ui", "init", "update", "predict", "doctor"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with params.yaml and code.json, and no data."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert cnnpipe(tmp_path, "code").returncode == 0
    return tmp_path


def cnnpipe(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnpipe", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = cnnpipe(tmp_path, "--help")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in shown.stdout, command


@pytest.mark.parametrize("arguments", [("trian", "x"), ("train",), ("split", "--pinn")], ids=" ".join)
def test_wrong_usage_exits_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    shown = cnnpipe(tmp_path, *arguments)
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert "Usage: cnnpipe" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("train", "lennet"), 2, "did you mean 'lenet'"),
        (("augment", "clasify"), 2, "did you mean 'classify'"),
        (("ingest",), 3, "data/raw"),
        (("validate",), 3, "data/ingested"),
        (("split",), 3, "data/validated"),
        (("augment", "classify"), 3, "data/"),
        (("results",), 3, "comparison"),
        (("lock",), 3, "dvc.lock"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_users_mistake_is_one_message_and_a_code(
    project: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    shown = cnnpipe(project, *arguments)
    assert (shown.returncode, shown.stdout) == (code, "")
    assert told in shown.stderr
    assert "fix: " in shown.stderr
    assert "Traceback" not in shown.stderr


def test_fault_in_params_stops_at_code(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(
        params.read_text(encoding="utf-8").replace("network: lenet", "network: lennet"), encoding="utf-8"
    )
    shown = cnnpipe(project, "code")
    assert shown.returncode == 2
    assert "experiments.lenet: network 'lennet' is not known" in shown.stderr
    assert "did you mean 'lenet'" in shown.stderr


@pytest.mark.parametrize(("kill", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_a_stage_with_its_code(project: Path, kill: signal.Signals, code: int) -> None:
    params = project / "params.yaml"
    slow = params.read_text(encoding="utf-8").replace("num_scenes: 360", "num_scenes: 20000")
    params.write_text(slow, encoding="utf-8")
    # where the tests run in the background of a script, Ctrl-C is ignored, and children inherit that
    command = ["env", "--default-signal=INT", sys.executable, "-m", "cnnpipe", "sample"]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as stage:
        deadline = time.monotonic() + 60
        while not (project / "data/raw.part").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        stage.send_signal(kill)
        _, told = stage.communicate(timeout=30)
    assert stage.returncode == code
    assert "Traceback" not in told
    assert not (project / "data/raw").exists()
    assert f'"exit_code": {code}' in (project / ".cnnpipe/state/sample.json").read_text(encoding="utf-8")


@pytest.fixture
def rwlock(project: Path) -> Path:
    """DVC's list of who reads and writes, in a project that can be reproduced."""
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=project, check=True)
    stage = "stages:\n  code:\n    cmd: exec python -m cnnpipe code\n    outs: [code.json: {cache: false}]\n"
    (project / "dvc.yaml").write_text(stage, encoding="utf-8")
    (project / ".dvc/tmp").mkdir(exist_ok=True)
    return project / ".dvc/tmp/rwlock"


def test_repro_goes_on_where_a_full_disk_has_left_half_a_list_of_locks(project: Path, rwlock: Path) -> None:
    rwlock.write_text('{"read": {"/a": [{"pid": 7, "cmd": "', encoding="utf-8")
    shown = cnnpipe(project, "repro", "code")
    assert shown.returncode == 0, shown.stderr
    assert "Running stage 'code'" in shown.stderr
    assert "no results to show yet" in shown.stderr


def test_repro_beside_another_ends_with_75_and_names_it(project: Path, rwlock: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "dvc"])
    try:
        holder = {"pid": other.pid, "cmd": "dvc repro"}
        rwlock.write_text(json.dumps({"write": {str(project / "code.json"): holder}}), encoding="utf-8")
        shown = cnnpipe(project, "repro", "code")
    finally:
        other.kill()
        other.wait()
    assert shown.returncode == 75, shown.stderr
    assert f"process {other.pid} is at work in this project: dvc repro" in shown.stderr
    assert f"wait for the end of {other.pid}" in shown.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_an_error_of_storage(project: Path) -> None:
    (project / "code.json").unlink()
    (project / "code.json.part").symlink_to("/dev/full")
    shown = cnnpipe(project, "code")
    assert shown.returncode == 7
    assert "No space left on device" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_installation_without_an_extra_says_which_is_missing(project: Path) -> None:
    (project / "torch.py").write_text("raise ModuleNotFoundError(name='torch')", encoding="utf-8")
    shown = cnnpipe(project, "train", "lenet")  # `python -m` looks in the folder first
    assert shown.returncode == 1
    assert "pip install 'cnnpipe[train]'" in shown.stderr
    assert "Traceback" not in shown.stderr
