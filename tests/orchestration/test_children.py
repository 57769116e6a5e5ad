"""Processes of a flow: all of them end together, and none starts while they do."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from cnnpipe.orchestration.children import Children, StoppedError

# starts a child of its own, says so, and ignores SIGTERM when told to
_PARENT = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
# takes its time to end, and tells whether its parent is still there then
_CLOSES = """
import os, signal, sys, time
parent = os.getppid()
def close(*_):
    time.sleep(0.5)
    print("with its parent" if os.getppid() == parent else "alone")
    sys.exit()
signal.signal(signal.SIGTERM, close)
print("open")
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_in_thread(
    children: Children, tmp_path: Path, *words: str
) -> tuple[threading.Thread, list[str], list[int]]:
    said: list[str] = []
    codes: list[int] = []

    def run() -> None:
        command = [sys.executable, "-c", _PARENT, *words]
        codes.append(children.run(command, cwd=tmp_path, environment=dict(os.environ), on_line=said.append))

    thread = threading.Thread(target=run)
    thread.start()
    while not said:
        time.sleep(0.02)
    return thread, said, codes


def test_output_comes_line_by_line_and_the_code_is_the_program_s(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr); print(); sys.exit(7)"
    children = Children()
    assert children.run([sys.executable, "-c", code], cwd=tmp_path, environment={}, on_line=said.append) == 7
    assert sorted(said) == ["one", "two"]


@pytest.mark.parametrize(("words", "ending"), [((), -signal.SIGTERM), (("stubborn",), -signal.SIGKILL)])
def test_stop_ends_a_process_and_its_own_children(
    tmp_path: Path, words: tuple[str, ...], ending: int
) -> None:
    children = Children()
    thread, said, codes = run_in_thread(children, tmp_path, *words)
    children.stop(grace_s=1.0)
    thread.join(5)
    assert codes == [ending]
    deadline = time.monotonic() + 2
    while is_alive(int(said[0])) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(int(said[0]))


def test_stop_asks_what_was_started_before_the_one_that_has_started_it(tmp_path: Path) -> None:
    children = Children()
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-uc', {_CLOSES!r}])"
    said: list[str] = []

    def run() -> None:
        children.run([sys.executable, "-uc", code], cwd=tmp_path, environment={}, on_line=said.append)

    thread = threading.Thread(target=run)
    thread.start()
    while not said:
        time.sleep(0.02)
    children.stop(grace_s=10.0)
    thread.join(5)
    assert said == ["open", "with its parent"]


def test_nothing_is_started_after_stop(tmp_path: Path) -> None:
    children = Children()
    children.stop(grace_s=0.0)
    assert children.is_stopping()
    with pytest.raises(StoppedError, match="not started"):
        children.run(["touch", "made"], cwd=tmp_path, environment={}, on_line=print)
    assert not (tmp_path / "made").exists()


def test_no_shell_sees_the_words(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import sys; print(sys.argv[1])"
    evil = "train@x; touch made && $(touch made)"
    children = Children()
    children.run([sys.executable, "-c", code, evil], cwd=tmp_path, environment={}, on_line=said.append)
    assert said == [evil]
    assert list(tmp_path.iterdir()) == []
