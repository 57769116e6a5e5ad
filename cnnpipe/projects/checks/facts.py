"""What several checks need to know: asked once, and side by side, for torch alone takes seconds."""

import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from cnnpipe import paths
from cnnpipe.errors import CnnpipeError
from cnnpipe.params.document import Document
from cnnpipe.params.load import check, read_yaml
from cnnpipe.projects.checks.programs import Answer, ask

DVC_YAML: Final = Path("dvc.yaml")

# What only torch itself can say. Of torchvision only the compiled part is loaded, as its extension.py does:
# it does not load into a torch that it was not built for, and all of torchvision would take twice the time.
_ASK_TORCH: Final = """
import importlib.util, json, pathlib, torch
folder = pathlib.Path(importlib.util.find_spec("torchvision").origin).parent
fault = ""
try:
    torch.ops.load_library(next(folder.glob("_C*.so")))
except (OSError, StopIteration) as error:
    fault = str(error) or "its compiled part is not there"
print(json.dumps({
    "built_for_cuda": torch.version.cuda,
    "sees_cuda": torch.cuda.is_available(),
    "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    "torchvision_fault": fault,
}))
"""
_TORCH_S: Final = 60.0  # a first import from a cold disk
_DVC_S: Final = 20.0


class TorchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What torch says of itself; `fault` where it cannot even be imported."""

    built_for_cuda: str | None = None  # version of CUDA; None: a build for the processor alone
    sees_cuda: bool = False
    devices: tuple[str, ...] = ()
    torchvision_fault: str = ""  # why its compiled part does not load into this torch
    warned: str = ""  # on the way, e.g. that the driver is too old
    fault: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The surroundings as the checks see them."""

    document: Document | None = None  # params.yaml; None: not there, or with faults
    torch: TorchReport | None = None  # None: it or torchvision is not installed
    driver: Answer | None = None  # of nvidia-smi; None: there is no such program
    dvc: Answer = Answer(0, "")  # of `dvc config --list`, all levels
    online: bool = False  # whether remotes may be asked that are not on this machine

    def dvc_setting(self, name: str) -> str | None:
        """Return one of DVC's settings, e.g. "cache.dir", as the last level gives it."""
        return self.dvc_settings.get(name)

    @property
    def dvc_settings(self) -> Mapping[str, str]:
        """DVC's settings by name; paths in them are absolute."""
        lines = (line.partition("=") for line in self.dvc.said.splitlines())
        return {name.strip(): value.strip() for name, _, value in lines}


def is_project() -> bool:
    """Whether this folder is a project of cnnpipe."""
    return paths.PARAMS.exists() or DVC_YAML.exists()


def gather(*, online: bool) -> Facts:
    """Ask everything that takes time, at the same time."""
    with ThreadPoolExecutor() as pool:
        torch = pool.submit(_ask_torch)
        driver = pool.submit(_ask_driver)
        dvc = pool.submit(ask, sys.executable, "-m", "dvc", "config", "--list", timeout_s=_DVC_S)
        document = _document()
    return Facts(
        document=document, torch=torch.result(), driver=driver.result(), dvc=dvc.result(), online=online
    )


def _document() -> Document | None:
    try:
        return check(read_yaml(paths.PARAMS), Document, where=str(paths.PARAMS), section="")
    except (CnnpipeError, OSError):
        return None  # the check of params.yaml tells why


def _ask_driver() -> Answer | None:
    return ask("nvidia-smi") if shutil.which("nvidia-smi") else None


def _ask_torch() -> TorchReport | None:
    try:
        for distribution in ("torch", "torchvision"):
            metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
    answer = ask(sys.executable, "-c", _ASK_TORCH, timeout_s=_TORCH_S)
    if answer.code != 0:
        return TorchReport(fault=answer.reason)
    try:
        report = msgspec.json.decode(answer.said.rpartition("\n")[2], type=TorchReport)
    except msgspec.DecodeError as error:
        return TorchReport(fault=f"its answer cannot be read: {error}")
    return msgspec.structs.replace(report, warned=answer.complained)
