"""Leases of real GPUs: what a lease shows is what torch sees, and two trainings have two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_projects
import torch

from cnnpipe import files
from cnnpipe.orchestration.leases import devices, leased

NUM_GPUS = torch.cuda.device_count()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NUM_GPUS < 1, reason=f"needs a GPU; torch {torch.__version__} sees none here"),
]

# tells the identifiers of the GPUs that torch sees
_SEEN = """
import torch
print(*(torch.cuda.get_device_properties(n).uuid for n in range(torch.cuda.device_count())))
"""
# leases a GPU, computes on it, tells which it is, and keeps it until something is written to it
_HOLDER = """
import os, sys
from cnnpipe.orchestration.leases import devices, leased
def waits(told):
    print("waits", flush=True)
with leased(devices(threads=1), holder="train@x", is_stopped=lambda: False, on_wait=waits) as lease:
    os.environ.update(lease.environment)
    import torch
    assert torch.cuda.device_count() == 1
    torch.ones(8, device="cuda").sum().item()
    print(torch.cuda.get_device_properties(0).uuid, flush=True)
    sys.stdin.readline()
"""
_STAGES = (["code"], ["sample"], ["ingest"], ["validate"], ["split"], ["augment", "classify"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the leases of these tests apart from those of trainings that run here."""
    monkeypatch.setenv("CNNPIPE_LEASES", str(tmp_path / "leases"))


def holder() -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _HOLDER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_nvidia_smi_and_torch_see_the_same_gpus() -> None:
    found = devices(threads=1)
    assert len(found) == NUM_GPUS
    assert all(device.name.startswith("gpu ") for device in found)


def test_what_a_lease_shows_is_what_torch_sees() -> None:
    with leased(devices(threads=1), holder="test", is_stopped=lambda: False, on_wait=pytest.fail) as lease:
        environment = {**os.environ, **lease.environment}
        seen = subprocess.run(
            [sys.executable, "-c", _SEEN], env=environment, capture_output=True, text=True, check=True
        )
    (uuid,) = seen.stdout.split()
    assert lease.environment["CUDA_VISIBLE_DEVICES"] in (f"GPU-{uuid}", uuid)
    assert lease.name == f"gpu {lease.environment['CUDA_VISIBLE_DEVICES']}"


def test_a_slot_shows_no_gpu() -> None:
    device = devices(threads=1, wanted="cpu")[0]
    environment = {**os.environ, **device.environment}
    seen = subprocess.run(
        [sys.executable, "-c", _SEEN], env=environment, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == []


def test_one_more_than_there_are_gpus_waits_until_one_is_killed() -> None:
    held = [holder() for _ in range(NUM_GPUS)]
    try:
        assert len({line(each) for each in held}) == NUM_GPUS
        late = holder()
        held.append(late)
        assert line(late) == "waits"
        held[0].kill()
        held[0].wait()
        assert line(late) not in ("", "waits")
    finally:
        for each in held:
            each.kill()
            each.communicate()


@pytest.mark.skipif(NUM_GPUS < 2, reason=f"needs two GPUs; torch {torch.__version__} sees {NUM_GPUS} here")
def test_two_trainings_have_a_gpu_each() -> None:
    held = [holder(), holder()]
    try:
        first, second = (line(each) for each in held)
        assert first != second
        assert "waits" not in (first, second)
    finally:
        for each in held:
            each.kill()
            each.communicate()


def test_a_training_under_a_lease_runs_on_the_gpu_and_repeats_itself(tmp_path: Path) -> None:
    changes = {"train": {"device": "cuda", "num_workers": 1}}
    project = tiny_projects.make_tiny_project(tmp_path / "project", changes=changes)
    for stage in _STAGES:
        done = tiny_projects.run(project, sys.executable, "-m", "cnnpipe", *stage)
        assert done.returncode == 0, done.stderr
    digests = []
    with leased(devices(threads=1), holder="test", is_stopped=lambda: False, on_wait=pytest.fail) as lease:
        for _ in range(2):
            train = [sys.executable, "-m", "cnnpipe", "train", "lenet"]
            done = tiny_projects.run(project, *train, **lease.environment)
            assert done.returncode == 0, done.stderr
            assert "training on cuda" in done.stderr
            digests.append(files.sha256_of_file(project / "models/lenet/weights.safetensors"))
    assert digests[0] == digests[1]
