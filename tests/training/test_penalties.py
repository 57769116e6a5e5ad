"""Penalties by hand."""

import pytest
import torch
from torch import nn

from cnnpipe.params.losses import PenaltyParams
from cnnpipe.training.penalties import penalty_parts


@pytest.fixture
def network() -> nn.Module:
    """Return 2 -> 2 units, of weights 1, -2, 3, 0 and biases 5, with a normalisation, and a frozen layer."""
    first, frozen = nn.Linear(2, 2), nn.Linear(2, 1).requires_grad_(False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
        first.bias.fill_(5.0)
    return nn.Sequential(first, nn.BatchNorm1d(2), frozen)


def test_weights_alone_are_penalised(network: nn.Module) -> None:
    parts = penalty_parts(network, PenaltyParams(l1=0.5, l2=0.1))
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(
        {"l1": 0.5 * 6.0, "l2": 0.1 * 14.0}
    )


def test_what_is_off_is_no_part(network: nn.Module) -> None:
    assert penalty_parts(network, None) == {}
    assert list(penalty_parts(network, PenaltyParams(l1=0.0, l2=0.1))) == ["l2"]
    assert penalty_parts(network.requires_grad_(False), PenaltyParams(l1=1.0, l2=1.0)) == {}


def test_they_pull_weights_towards_0(network: nn.Module) -> None:
    sum(penalty_parts(network, PenaltyParams(l1=0.5, l2=0.1)).values(), torch.tensor(0.0)).backward()  # type: ignore[no-untyped-call]
    weight, bias = [*network.parameters()][:2]
    assert bias.grad is None
    # 0.5 sign w + 0.2 w
    torch.testing.assert_close(weight.grad, torch.tensor([[0.7, -0.9], [1.1, 0.0]]))
