"""Logits in order, and scores that sum to one."""

import numpy as np
import pytest
import torch
from scipy import special  # type: ignore[import-untyped]  # no stubs
from toy_pictures import half, toy_network, toy_pictures

from cnnpipe.inference.forward import forward_batches, softmax, to_network


def test_batches_make_no_difference_and_leave_no_gradients() -> None:
    network = toy_network(dropout=0.5)
    pictures, targets = toy_pictures(20, seed=0)
    cut = [(pictures[:16], targets[:16]), (pictures[16:], targets[16:])]
    logits_NK, targets_N = forward_batches(network, cut, half, device=torch.device("cpu"))
    whole_NK, _ = forward_batches(network, [(pictures, targets)], half, device=torch.device("cpu"))
    np.testing.assert_allclose(logits_NK, whole_NK, atol=1e-6)
    np.testing.assert_array_equal(targets_N, targets.numpy())
    assert all(p.grad is None for p in network.parameters())


def test_pictures_arrive_channels_last() -> None:
    pictures = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    assert to_network(pictures, half, device=torch.device("cpu")).is_contiguous(
        memory_format=torch.channels_last
    )


@pytest.mark.parametrize(
    "logits",
    [[[0.0, 0.0]], [[1.0, 2.0, 3.0]], [[1000.0, 0.0]], [[-1000.0, -1001.0]]],
    ids=["even", "three", "huge", "tiny"],
)
def test_softmax_is_scipys(logits: list[list[float]]) -> None:
    np.testing.assert_allclose(softmax(np.array(logits)), special.softmax(logits, axis=1))
