"""A stage runs once at a time, never without its parent, and leaves its end behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnpipe import files
from cnnpipe.cli.process import stage_process
from cnnpipe.errors import BusyError, DataError
from cnnpipe.stage_ends import StageEnd, end_file

_SLEEPER = """
import time
from cnnpipe.cli.process import stage_process
with stage_process("train@x"):
    print("running", flush=True)
    time.sleep(60)
"""
# busy where no signal reaches it, with a loader worker of its own
_DEAF = """
import multiprocessing, signal, sys, time
from cnnpipe.cli.process import stage_process
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with stage_process("train@x"):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
    worker.start()
    print(worker.pid, flush=True)
    time.sleep(60)
"""
# a stand-in for dvc: starts the stage as its child, tells its pid, and waits
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNPIPE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_end_says_what_failed() -> None:
    with pytest.raises(DataError), stage_process("ingest"):
        raise DataError("a.json", "is cut off", "export it again")
    end = files.read_json(end_file("ingest"), StageEnd)
    assert (end.stage, end.exit_code) == ("ingest", 3)
    assert end.error is not None
    assert end.error.startswith("DataError: a.json: is cut off")


def test_end_of_a_success_is_zero() -> None:
    with stage_process("split"):
        pass
    end = files.read_json(end_file("split"), StageEnd)
    assert (end.exit_code, end.error) == (0, None)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143), (ValueError(), 1)]
)
def test_end_tells_signals_from_faults(error: BaseException, code: int) -> None:
    with pytest.raises(type(error)), stage_process("split"):
        raise error
    assert files.read_json(end_file("split"), StageEnd).exit_code == code


def test_second_process_of_a_stage_is_refused_and_told_who_runs() -> None:
    with _started(_SLEEPER) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(BusyError, match=f"process {first.pid} runs it now"), stage_process("train@x"):
            pass
        with stage_process("train@y"):  # another stage is free
            pass
        first.kill()
        first.wait()
    with stage_process("train@x"):  # the lock died with its holder
        pass


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "term"])
def test_stage_ends_with_dvc(kill: signal.Signals) -> None:
    environment = {**os.environ, "DVC_STAGE": "train@x"}
    with _started(_PARENT, _SLEEPER, environment=environment) as parent:
        assert parent.stdout is not None
        stage = int(parent.stdout.readline().split()[0])
        assert _is_running(stage)
        parent.send_signal(kill)
        parent.wait()
        assert _within(2.5, lambda: not _is_running(stage))


def test_deaf_stage_ends_with_dvc_and_takes_its_workers_along() -> None:
    with _started(_PARENT, _DEAF, environment={**os.environ, "DVC_STAGE": "train@x"}) as parent:
        assert parent.stdout is not None
        stage, worker = map(int, parent.stdout.readline().split())
        assert _is_running(stage)
        assert _is_running(worker)
        parent.kill()
        parent.wait()
        assert _within(2.5, lambda: not _is_running(stage) and not _is_running(worker))


def test_stage_ends_with_the_process_it_is_told_to_watch() -> None:
    with _started("import time; time.sleep(60)") as watched:
        environment = {**os.environ, "CNNPIPE_WATCH_PID": str(watched.pid)}
        with _started(_SLEEPER, environment=environment) as stage:
            assert stage.stdout is not None
            stage.stdout.readline()
            watched.kill()
            watched.wait()
            assert _within(2.5, lambda: stage.poll() is not None)


def test_command_typed_by_hand_outlives_its_shell() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    with _started(_PARENT, _SLEEPER, environment=environment) as parent:
        assert parent.stdout is not None
        stage = int(parent.stdout.readline().split()[0])
        parent.kill()
        parent.wait()
        assert not _within(1.0, lambda: not _is_running(stage))
        os.kill(stage, signal.SIGKILL)


def _started(
    program: str, *arguments: str, environment: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.05)
    return False
