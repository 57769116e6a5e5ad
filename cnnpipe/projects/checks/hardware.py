"""The machine: the device that torch works on, processors, memory, shared memory."""

import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Final

from cnnpipe import processors
from cnnpipe.errors import ParamsError
from cnnpipe.projects.checks.facts import Facts, TorchReport
from cnnpipe.projects.checks.programs import Answer
from cnnpipe.projects.checks.results import Result, error, note, ok, warning

_GB: Final = 1e9
_MIN_MEMORY_GB: Final = 2.0  # the demo's trainings take half of it
_MIN_SHARED_GB: Final = 0.25  # a container's own default is 0.064; loader workers hand batches over there
_SHARED: Final = Path("/dev/shm")  # noqa: S108 (looked at, not written to)
_MEMINFO: Final = Path("/proc/meminfo")


def check_torch(facts: Facts) -> list[Result]:
    """Tell whether torch and torchvision work, together, and on which device."""
    report = facts.torch
    if report is None:
        return []  # the check of packages tells that
    if report.fault:
        return [error("torch", f"cannot be imported: {report.fault}", _reinstall())]
    if report.torchvision_fault:
        version = metadata.version("torchvision")
        what = f"torchvision {version} does not load into this torch: {report.torchvision_fault}"
        return [error("torch", what, _reinstall())]
    return [_device(report, facts.driver), *_wanted_device(report, facts)]


def check_processors(_facts: Facts) -> list[Result]:
    """Count the processors this process may use."""
    total, usable = os.cpu_count() or 1, processors.usable_processors()
    quota = processors.processor_quota()
    told = f"{usable}" if usable == total else f"{usable} of {total}"
    if quota is None or quota >= usable:
        return [ok("processors", told)]
    what = f"{told}, limited to {quota:g} by the control group"
    return [note("processors", what, "let train.num_threads + train.num_workers not exceed that")]


def check_memory(_facts: Facts) -> list[Result]:
    """Look how much memory is free, for this machine and for its control group."""
    lines = (line.split() for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
    bytes_of = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) >= 2}
    total, free = bytes_of["MemTotal"], bytes_of["MemAvailable"]
    limit, used = _cgroup_number("memory.max"), _cgroup_number("memory.current")
    if limit is not None and used is not None and limit < total:
        total, free = limit, min(free, limit - used)
    told = f"{free / _GB:.1f} GB free of {total / _GB:.1f} GB"
    if free < _MIN_MEMORY_GB * _GB:
        return [
            warning("memory", told, "end other programs; or a smaller batch_size and train.num_workers: 0")
        ]
    return [ok("memory", told)]


def check_shared_memory(_facts: Facts) -> list[Result]:
    """Look whether loader workers can hand their batches over."""
    if not _SHARED.is_dir():
        return [warning("shared memory", f"there is no {_SHARED}", "set train.num_workers: 0")]
    total = shutil.disk_usage(_SHARED).total
    told = f"{total / _GB:.2f} GB in {_SHARED}"
    if total < _MIN_SHARED_GB * _GB:
        fix = "start the container with --shm-size=2g, or set train.num_workers: 0"
        return [warning("shared memory", told, fix)]
    return [ok("shared memory", told)]


def _device(report: TorchReport, driver: Answer | None) -> Result:
    build = f"torch {metadata.version('torch')}, torchvision {metadata.version('torchvision')}"
    if report.sees_cuda:
        return ok("torch", f"{build}; CUDA {report.built_for_cuda} on {', '.join(report.devices)}")
    if driver is None:
        return ok("torch", f"{build}; no NVIDIA driver here: the processor computes")
    if driver.code != 0:
        fix = "install the driver again, and start the machine anew"
        return warning("torch", f"{build}; nvidia-smi fails: {_first_line(driver)}", fix)
    if report.built_for_cuda is None:
        fix = "install the same version of both for CUDA: docs/gpu-machine.md"
        return warning("torch", f"{build}, built for the processor alone, though a GPU is here", fix)
    return warning(
        "torch", f"{build} {_mismatch(report, driver)}", "a newer driver, or a torch for an older CUDA"
    )


def _mismatch(report: TorchReport, driver: Answer) -> str:
    """Say why a build for CUDA does not see the GPU that nvidia-smi sees."""
    knows = re.search(r"CUDA Version:\s*([\d.]+)", driver.said)
    built = f"is built for CUDA {report.built_for_cuda}"
    if knows and _numbers(knows[1]) < _numbers(report.built_for_cuda or ""):
        return f"{built}; the driver knows CUDA up to {knows[1]}"
    warned = report.warned.rpartition("\n")[2].strip()
    return f"{built} and sees no device, though nvidia-smi does" + (f": {warned}" if warned else "")


def _wanted_device(report: TorchReport, facts: Facts) -> list[Result]:
    if facts.document is None or facts.document.train.device != "cuda" or report.sees_cuda:
        return []
    what = "params.yaml asks for train.device: cuda, which torch does not see"
    return [error("torch", what, "set train.device: auto or cpu, or mend the row above", ParamsError)]


def _reinstall() -> str:
    return "pip install --force-reinstall 'cnnpipe[train]'; in a clone: rm -r .venv; make venv"


def _first_line(answer: Answer) -> str:
    return (answer.complained or answer.said).partition("\n")[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _cgroup_number(name: str) -> int | None:
    try:
        text = (processors.CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
