"""A process that a signal cannot reach through Python, and one whose signals are ignored."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_projects import ROOT, environment

# a mutex that is locked already: glibc goes on waiting after a signal, as a collective of torch does
STUCK = """
import ctypes
from cnnpipe.training import interruption
interruption._PATIENCE_S = 0
c, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
with interruption.Interruption().listening():
    c.pthread_mutex_lock(mutex)
    print("stuck", flush=True)
    c.pthread_mutex_lock(mutex)
"""


def until_asleep(pid: int) -> None:
    """Wait until the process has been asleep for half a second: it is in the mutex then."""
    end, times = time.monotonic() + 60.0, 0
    while times < 10:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        times = times + 1 if state == "S" else 0
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_no_signal_reaches_ends_all_the_same(number: signal.Signals) -> None:
    stuck = subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == "stuck\n"
        until_asleep(stuck.pid)
        stuck.send_signal(number)
        stuck.communicate(timeout=60)
        assert stuck.returncode == 128 + number
    finally:
        stuck.kill()
        stuck.communicate()
