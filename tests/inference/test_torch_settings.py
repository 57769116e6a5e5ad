"""Torch is set for the block and put back after it, whatever happens inside."""

import pytest
import torch

from cnnpipe.inference.torch_settings import repeatable_torch


def test_settings_hold_inside_and_come_back() -> None:
    before = settings()
    with repeatable_torch(num_threads=before[0] + 1):
        assert settings() == (before[0] + 1, True)
    assert settings() == before


def test_settings_come_back_after_an_error() -> None:
    before = settings()
    with pytest.raises(KeyError), repeatable_torch(num_threads=before[0] + 1):
        raise KeyError
    assert settings() == before


def settings() -> tuple[int, bool]:
    return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
