"""The loss against numbers worked by hand and scikit-learn's."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss  # type: ignore[import-untyped]  # no stubs

from cnnpipe.training.losses import cross_entropy

SCORES = [0.3, 0.6, 0.1]
LOGITS = torch.tensor([SCORES], dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("target", "label_smoothing", "expected"),
    [
        pytest.param(0, 0.0, 1.2040, id="-ln 0.3"),
        pytest.param(1, 0.0, 0.5108, id="-ln 0.6"),
        # 0.9 + 0.1/3 of -ln 0.3, and 0.1/3 of each of the others
        pytest.param(
            0, 0.1, -(0.9 * math.log(0.3) + 0.1 / 3 * sum(map(math.log, SCORES))), id="a tenth given away"
        ),
    ],
)
def test_the_loss_of_one_sample(target: int, label_smoothing: float, expected: float) -> None:
    loss = cross_entropy(LOGITS, torch.tensor([target]), label_smoothing=label_smoothing)
    assert loss.item() == pytest.approx(expected, abs=5e-5)


@given(st.integers(2, 6), st.integers(1, 8), st.integers(0, 2**31))
def test_the_mean_over_a_batch_is_scikit_learns_log_loss(num_classes: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits_BK = torch.randn(size, num_classes, generator=generator, dtype=torch.float64)
    targets_B = torch.randint(num_classes, (size,), generator=generator)
    expected = log_loss(targets_B, logits_BK.softmax(dim=1), labels=range(num_classes))
    assert cross_entropy(logits_BK, targets_B, label_smoothing=0.0).item() == pytest.approx(expected)
