"""Leases: never more holders than devices, in turn, and none of a dead process."""

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from cnnpipe import processors
from cnnpipe.errors import ParamsError, StorageError
from cnnpipe.orchestration import leases
from cnnpipe.orchestration.children import StoppedError
from cnnpipe.orchestration.leases import Device, devices, leased, leases_dir

TWO_SLOTS = tuple(Device(f"slot {number}", {"CUDA_VISIBLE_DEVICES": ""}) for number in (1, 2))
GPU = Device("gpu GPU-0a/1", {"CUDA_VISIBLE_DEVICES": "GPU-0a/1"})
# holds a slot, told by its name, until something is written to it
_HOLDER = """
import sys
from cnnpipe.orchestration.leases import devices, leased
with leased(devices(threads=1, wanted="cpu"), holder="train@x of shoes",
            is_stopped=lambda: False, on_wait=lambda told: print("waits", told, flush=True)) as lease:
    print(lease.name, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNPIPE_LEASES", str(tmp_path / "leases"))
    monkeypatch.delenv("CNNPIPE_SLOTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path / "leases"


def never() -> bool:
    return False


def unheard(told: str) -> None:
    del told


def test_two_slots_never_have_more_than_two_of_three_takers() -> None:
    guard, holding, most, names = threading.Lock(), 0, 0, set()

    def work(taker: int) -> None:
        nonlocal holding, most
        for _ in range(2):
            with leased(TWO_SLOTS, holder=f"taker {taker}", is_stopped=never, on_wait=unheard) as lease:
                with guard:
                    holding += 1
                    most = max(most, holding)
                    names.add(lease.name)
                time.sleep(0.4)
                with guard:
                    holding -= 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert (most, names) == (2, {"slot 1", "slot 2"})


def test_the_waiting_is_told_once_per_change(folder: Path) -> None:
    told: list[str] = []
    is_over = threading.Event()

    def wait() -> None:
        with (
            pytest.raises(StoppedError),
            lease_of("c", is_stopped=is_over.is_set, on_wait=told.append),
        ):
            pass

    with lease_of("train@a of shoes"), lease_of("train@b of shoes"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(4 * leases._POLL_S)
        assert told == [
            f"waiting for a device: slot 1 is held by process {os.getpid()} (train@a of shoes), "
            f"slot 2 is held by process {os.getpid()} (train@b of shoes)"
        ]
        (folder / "slot-2.lock").write_text("7 train@c of hats", encoding="utf-8")
        time.sleep(4 * leases._POLL_S)
        assert len(told) == 2
        assert told[1].endswith("slot 2 is held by process 7 (train@c of hats)")
        is_over.set()
        waiting.join()


def lease_of(
    holder: str, *, is_stopped: Callable[[], bool] = never, on_wait: Callable[[str], None] = unheard
) -> AbstractContextManager[leases.Lease]:
    return leased(TWO_SLOTS, holder=holder, is_stopped=is_stopped, on_wait=on_wait)


def test_a_stopping_flow_leaves_the_line_within_a_second() -> None:
    is_over = threading.Event()
    ended: list[float] = []

    def wait() -> None:
        with pytest.raises(StoppedError), lease_of("c", is_stopped=is_over.is_set):
            pass
        ended.append(time.monotonic())

    with lease_of("a"), lease_of("b"):
        waiting = [threading.Thread(target=wait) for _ in range(2)]  # one at the devices, one in line
        for each in waiting:
            each.start()
        time.sleep(0.5)
        assert ended == []
        is_over.set()
        stopped = time.monotonic()
        for each in waiting:
            each.join()
    assert max(ended) - stopped < 1.0


def test_a_newcomer_does_not_overtake_who_waits() -> None:
    order: list[str] = []
    is_waiting = threading.Event()

    def wait() -> None:
        with leased((GPU,), holder="first", is_stopped=never, on_wait=lambda _: is_waiting.set()):
            order.append("first")

    with leased((GPU,), holder="holder", is_stopped=never, on_wait=unheard):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert is_waiting.wait(5)
    # the one that just let go asks again at once, long before the other looks
    with leased((GPU,), holder="newcomer", is_stopped=never, on_wait=unheard):
        order.append("newcomer")
    waiting.join()
    assert order == ["first", "newcomer"]


def test_who_waits_for_other_devices_stands_in_another_line() -> None:
    is_over, is_waiting = threading.Event(), threading.Event()

    def wait() -> None:
        with (
            pytest.raises(StoppedError),
            leased((GPU,), holder="b", is_stopped=is_over.is_set, on_wait=lambda _: is_waiting.set()),
        ):
            pass

    with leased((GPU,), holder="a", is_stopped=never, on_wait=unheard):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert is_waiting.wait(5)
        with leased(TWO_SLOTS, holder="c", is_stopped=never, on_wait=pytest.fail) as lease:
            assert lease.name == "slot 1"
        is_over.set()
        waiting.join()


def test_a_lease_shows_its_process_one_device(folder: Path) -> None:
    with leased((GPU,), holder="a", is_stopped=never, on_wait=unheard) as lease:
        assert (lease.name, lease.environment) == ("gpu GPU-0a/1", {"CUDA_VISIBLE_DEVICES": "GPU-0a/1"})
        assert (folder / "gpu-GPU-0a-1.lock").exists()


@pytest.mark.slow
def test_processes_exclude_each_other_and_a_killed_one_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNPIPE_SLOTS", "2")
    held = [_holder(), _holder()]
    try:
        assert {_line(each) for each in held} == {"slot 1", "slot 2"}
        third = _holder()
        held.append(third)
        told = _line(third)
        assert told.startswith("waits waiting for a device: slot 1 is held by process")
        assert all(f"process {each.pid} (train@x of shoes)" in told for each in held[:2])
        held[0].kill()
        killed = time.monotonic()
        assert _line(third) in ("slot 1", "slot 2")
        assert time.monotonic() - killed < 1.0
    finally:
        for each in held:
            each.kill()
            each.communicate()


@pytest.mark.slow
def test_a_lease_lasts_as_long_as_a_process_that_was_given_it() -> None:
    """A flow that is killed leaves its dvc for a moment: the device is not free before that has ended."""
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with leased((GPU,), holder="flow", is_stopped=never, on_wait=unheard) as lease:
        child = subprocess.Popen(sleeper, pass_fds=(lease.fd,))
    try:
        asked: list[int] = []

        def asked_twice() -> bool:
            asked.append(1)
            return len(asked) > 4

        with pytest.raises(StoppedError), leased((GPU,), holder="b", is_stopped=asked_twice, on_wait=unheard):
            pass
    finally:
        child.kill()
        child.wait()
    with leased((GPU,), holder="b", is_stopped=never, on_wait=pytest.fail):
        pass


def _holder() -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _HOLDER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("cores", "quota", "threads", "slots"),
    [
        pytest.param(8, None, 1, 8, id="one thread"),
        pytest.param(8, None, 3, 2, id="three threads"),
        pytest.param(8, "250000 100000", 1, 2, id="quota"),
        pytest.param(8, "50000 100000", 1, 1, id="less than a processor"),
        pytest.param(2, "max 100000", 4, 1, id="more threads than processors"),
    ],
)
def test_as_many_slots_as_trainings_fit(
    cores: int, quota: str | None, threads: int, slots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quota:
        (tmp_path / "cpu.max").write_text(f"{quota}\n", encoding="utf-8")
    monkeypatch.setattr(processors, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)))
    found = devices(threads=threads)
    assert [device.name for device in found] == [f"slot {number}" for number in range(1, slots + 1)]
    assert all(device.environment == {"CUDA_VISIBLE_DEVICES": ""} for device in found)


def test_slots_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNPIPE_SLOTS", "3")
    assert len(devices(threads=64)) == 3


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_slots_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNPIPE_SLOTS", given)
    with pytest.raises(ParamsError, match=r"CNNPIPE_SLOTS: is .* no positive whole number"):
        devices(threads=1)


def test_gpus_come_before_slots_unless_params_want_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "visible_gpus", lambda: ("GPU-a", "GPU-b"))
    assert devices(threads=1) == (
        Device("gpu GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a"}),
        Device("gpu GPU-b", {"CUDA_VISIBLE_DEVICES": "GPU-b"}),
    )
    assert devices(threads=1, wanted="cpu")[0].name == "slot 1"


def test_leases_are_of_the_host_and_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert leases_dir() == tmp_path / "leases"
    monkeypatch.delenv("CNNPIPE_LEASES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(platform, "node", lambda: "host-a")
    assert leases_dir() == tmp_path / "cnnpipe" / "leases" / "host-a"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert leases_dir() == Path("/home/somebody/.cache/cnnpipe/leases/host-a")


def test_a_folder_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNPIPE_LEASES", str(tmp_path / "file" / "leases"))
    with pytest.raises(StorageError, match="cannot be written") as caught, lease_of("a"):
        pass
    assert "CNNPIPE_LEASES" in caught.value.fix
