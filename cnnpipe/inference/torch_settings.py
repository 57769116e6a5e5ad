"""How torch is set so that the same numbers come out again; put back afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic


@contextmanager
def repeatable_torch(*, num_threads: int) -> Iterator[None]:
    """Run the block with `num_threads` threads and deterministic operations only.

    The number of threads decides how sums are split, so it is part of what makes a result.

    Args:
        num_threads: torch's threads within one operation, at least 1.
    """
    # cuBLAS repeats itself only with a fixed workspace, read when CUDA starts.
    # Source: NVIDIA, cuBLAS documentation, "Results reproducibility".
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]  # property of a module
    )
    # no operation here reads memory it has not written; filling it costs up to a tenth of a step
    _set(num_threads, True, False)
    try:
        yield
    finally:
        _set(*before)


def _set(num_threads: int, is_deterministic: bool, fills_memory: bool) -> None:
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(is_deterministic)
    deterministic.fill_uninitialized_memory = fills_memory  # type: ignore[attr-defined]
