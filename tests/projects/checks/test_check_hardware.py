"""Device, processors and memory, as made-up machines have them."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnpipe import processors
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.checks import hardware
from cnnpipe.projects.checks.facts import Facts, TorchReport
from cnnpipe.projects.checks.programs import Answer

PARAMS = Path(__file__).parents[3] / "params.yaml"
ON_CPU = TorchReport(built_for_cuda="13.0")
ON_GPU = TorchReport(built_for_cuda="13.0", sees_cuda=True, devices=("NVIDIA A10",))
DRIVER = Answer(0, "| NVIDIA-SMI 580.1   Driver Version: 580.1   CUDA Version: 13.0 |")
OLD_DRIVER = Answer(0, "| NVIDIA-SMI 535.1   Driver Version: 535.1   CUDA Version: 12.2 |")
LOST_DRIVER = Answer(9, "NVIDIA-SMI has failed because it couldn't communicate with the driver.\nMake sure…")


def document(device: str) -> Document:
    content = read_yaml(PARAMS)
    content["train"]["device"] = device
    return check(content, Document, where="params.yaml", section="")


@pytest.mark.parametrize(
    ("report", "driver", "state", "found"),
    [
        (ON_CPU, None, "ok", "no NVIDIA driver here: the processor computes"),
        (ON_GPU, DRIVER, "ok", "CUDA 13.0 on NVIDIA A10"),
        (TorchReport(), DRIVER, "warning", "built for the processor alone, though a GPU is here"),
        (ON_CPU, OLD_DRIVER, "warning", "is built for CUDA 13.0; the driver knows CUDA up to 12.2"),
        (ON_CPU, LOST_DRIVER, "warning", "nvidia-smi fails: NVIDIA-SMI has failed"),
        (ON_CPU, DRIVER, "warning", "sees no device, though nvidia-smi does"),
        (
            TorchReport(torchvision_fault="undefined symbol: _ZN3c10"),
            None,
            "error",
            "does not load into this torch",
        ),
        (TorchReport(fault="ImportError: libcudart.so.13"), None, "error", "libcudart.so.13"),
    ],
    ids=["cpu", "gpu", "cpu-build", "old-driver", "lost-driver", "unseen", "torchvision", "broken"],
)
def test_torch_and_its_device(report: TorchReport, driver: Answer | None, state: str, found: str) -> None:
    (result,) = hardware.check_torch(Facts(torch=report, driver=driver))
    assert result.state == state
    assert found in result.found
    assert bool(result.fix) == (state != "ok")


def test_what_torch_warned_of_is_told() -> None:
    warned = "…\n  UserWarning: CUDA initialization: forward compatibility"
    report = TorchReport(built_for_cuda="13.0", warned=warned)
    (result,) = hardware.check_torch(Facts(torch=report, driver=DRIVER))
    assert "forward compatibility" in result.found


def test_cuda_that_is_asked_for_and_not_seen_is_a_fault_of_params() -> None:
    _, result = hardware.check_torch(Facts(torch=ON_CPU, document=document("cuda")))
    assert (result.state, result.exit_code) == ("error", 2)
    assert len(hardware.check_torch(Facts(torch=ON_GPU, document=document("cuda")))) == 1
    assert len(hardware.check_torch(Facts(torch=ON_CPU, document=document("auto")))) == 1


def test_without_torch_the_check_of_packages_speaks() -> None:
    assert hardware.check_torch(Facts()) == []


@pytest.mark.parametrize(
    ("quota", "state", "found"),
    [(None, "ok", "4 of 8"), ("max 100000", "ok", "4 of 8"), ("150000 100000", "note", "limited to 1.5")],
)
def test_processors(
    quota: str | None, state: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quota:
        (tmp_path / "cpu.max").write_text(f"{quota}\n", encoding="utf-8")
    monkeypatch.setattr(processors, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    (result,) = hardware.check_processors(Facts())
    assert result.state == state
    assert found in result.found


@pytest.mark.parametrize(
    ("limit", "state", "found"),
    [
        ("max", "ok", "7.2 GB free of 8.2 GB"),
        ("4000000000", "ok", "3.5 GB free of 4.0 GB"),
        ("1000000000", "warning", "0.5 GB free of 1.0 GB"),
    ],
)
def test_memory(limit: str, state: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable: 7000000 kB\n", encoding="utf-8")
    (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="utf-8")
    (tmp_path / "memory.current").write_text("500000000\n", encoding="utf-8")
    monkeypatch.setattr(hardware, "_MEMINFO", meminfo)
    monkeypatch.setattr(processors, "CGROUP", tmp_path)
    (result,) = hardware.check_memory(Facts())
    assert (result.state, result.found) == (state, found)


def test_small_shared_memory_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=64 * 2**20))
    (result,) = hardware.check_shared_memory(Facts())
    assert (result.state, result.found) == ("warning", "0.07 GB in /dev/shm")
    assert "--shm-size" in result.fix
    monkeypatch.setattr(hardware, "_SHARED", tmp_path / "gone")
    (result,) = hardware.check_shared_memory(Facts())
    assert result.state == "warning"
    assert "num_workers: 0" in result.fix
