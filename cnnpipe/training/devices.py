"""Where training runs. What was asked for and is absent is an error, never a silent CPU."""

from typing import Literal

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError


def make_accelerator(device: Literal["auto", "cpu", "cuda"]) -> Accelerator:
    """Return accelerate's handle on the device of params.

    Precision is float32 everywhere: bfloat16 is slower on CPUs without instructions for it.

    Args:
        device: auto takes CUDA when torch sees one.

    Raises:
        ParamsError: cuda was asked for, and torch sees none.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise ParamsError(
            "train.device",
            f"cuda was asked for, but torch {torch.__version__} sees no CUDA device",
            "set train.device: auto or cpu, or install the driver and a torch built for it",
        )
    return Accelerator(cpu=device == "cpu" or not has_cuda, mixed_precision="no")
