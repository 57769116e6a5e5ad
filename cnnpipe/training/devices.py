"""Where training computes, and how precisely. What is asked for and absent is an error, not a silent CPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Literal

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # no stubs
from accelerate.utils import convert_to_fp32  # type: ignore[import-untyped]
from torch import nn
from torch.amp.grad_scaler import GradScaler

from cnnpipe.errors import ParamsError

Precision = Literal["float32", "bfloat16", "float16"]
Capability = tuple[int, int]  # of CUDA: major, minor

# The first whose tensor cores compute in it; older ones are no faster in it than in float32.
# Source: NVIDIA, CUDA C++ Programming Guide, "Compute Capabilities".
_BFLOAT16_FROM: Final[Capability] = (8, 0)
_FLOAT16_FROM: Final[Capability] = (7, 0)


def make_accelerator(device: Literal["auto", "cpu", "cuda"]) -> Accelerator:
    """Return accelerate's handle on the device of params.

    It knows of no precision but float32: its own autocast would also be in force in validation.

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


def uses_cuda(device: Literal["auto", "cpu", "cuda"]) -> bool:
    """Return whether `make_accelerator` takes a GPU: batches then come in pinned memory."""
    return device != "cpu" and torch.cuda.is_available()


def precision_on(asked: Literal["auto", "float32", "bfloat16", "float16"], device: torch.device) -> Precision:
    """Return the precision that a training on `device` computes in.

    Raises:
        ParamsError: the device does not compute in the one that was asked for.
    """
    if device.type != "cuda":
        return precision_of(asked, None)
    return precision_of(asked, torch.cuda.get_device_capability(device))


def precision_of(
    asked: Literal["auto", "float32", "bfloat16", "float16"], capability: Capability | None
) -> Precision:
    """Return the precision that a training computes in.

    Args:
        asked: auto takes the lower precision that the device is faster in, if there is one.
        capability: of the GPU; None: a CPU, which computes in all of them, and is slower in the lower ones
            unless it has instructions for them.

    Raises:
        ParamsError: the device does not compute in the one that was asked for.
    """
    if asked == "auto":
        if capability is None or capability < _FLOAT16_FROM:
            return "float32"
        return "bfloat16" if capability >= _BFLOAT16_FROM else "float16"
    if asked == "bfloat16" and capability is not None and capability < _BFLOAT16_FROM:
        raise ParamsError(
            "train.precision",
            "bfloat16 was asked for; it needs compute capability {}.{}, and this GPU has {}.{}".format(
                *_BFLOAT16_FROM, *capability
            ),
            "set train.precision: auto, float16 or float32",
        )
    return asked


def make_scaler(precision: Precision, device: torch.device) -> GradScaler | None:
    """Return what keeps float16's gradients from becoming 0 or infinite; other precisions need none.

    Source: Micikevicius et al. 2018, Mixed Precision Training, section 3.2.
    """
    return GradScaler(device.type) if precision == "float16" else None


@contextmanager
def computing_in(precision: Precision, parts: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Let `parts` of a network compute in `precision` within the block, where torch holds that for safe.

    Their weights stay float32, and so does what they return: all around them computes in float32.

    Args:
        precision: float32 changes nothing.
        parts: on `device`; none within another.
        device: where they compute.
    """
    if precision == "float32":
        yield
        return
    for part in parts:
        part.forward = partial(_forward, part.forward, device.type, getattr(torch, precision))
    try:
        yield
    finally:
        for part in parts:
            del part.forward  # the class's own shows again


def _forward(forward: Any, device_type: str, dtype: torch.dtype, *arguments: Any, **named: Any) -> Any:
    with torch.autocast(device_type, dtype=dtype):
        found = forward(*arguments, **named)
    return convert_to_fp32(found)
