"""How torch says that memory has run out: GPUs have an error class, the CPU's allocator has words."""

from typing import Final

import torch

_WORDS: Final = ("can't allocate memory", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Say whether an error means that there is no more memory."""
    is_told = any(words in str(error) for words in _WORDS)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or is_told
