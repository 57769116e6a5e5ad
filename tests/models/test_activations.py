"""Activations by name: torch's numbers, one learned factor, and a place in every network that takes one."""

from typing import get_args

import pytest
import torch
from torch import nn

from cnnpipe.models.activations import ACTIVATIONS, ScaledSigmoid, set_activation
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.layers import Activation
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.networks import NETWORK_FACTS

PLAIN = sorted(
    name for name, facts in NETWORK_FACTS.items() if "activation" in facts.options and name not in ("cnn",)
)
LIGHT = [name for name in PLAIN if (NETWORK_FACTS[name].num_parameters or 0) < 12_000_000]


def test_params_and_the_table_know_the_same_activations() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # of -1 and 2, by hand: e^-1 = 0.367879, 1 / (1 + e) = 0.268941, 1 / (1 + e^-2) = 0.880797
        ("relu", [0.0, 2.0]),
        ("leaky_relu", [-0.01, 2.0]),
        ("elu", [-0.632121, 2.0]),
        ("silu", [-0.268941, 1.761594]),
        ("sigmoid", [0.268941, 0.880797]),
        ("tanh", [-0.761594, 0.964028]),
        ("scaled_sigmoid", [0.268941, 0.880797]),
    ],
)
def test_activations_have_the_numbers_of_their_formulas(name: Activation, expected: list[float]) -> None:
    found = ACTIVATIONS[name]()(torch.tensor([-1.0, 2.0]))
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)


def test_the_factor_of_a_scaled_sigmoid_is_learned() -> None:
    layer = ScaledSigmoid()
    layer(torch.tensor([-1.0, 2.0])).sum().backward()
    assert layer.a.grad is not None
    assert layer.a.grad.item() == pytest.approx(0.268941 + 0.880797, abs=1e-5)
    with torch.no_grad():
        layer.a.mul_(3.0)
    assert layer(torch.zeros(1)).item() == pytest.approx(1.5)


@pytest.mark.parametrize("name", LIGHT)
def test_every_relu_of_a_network_is_replaced(name: str) -> None:
    options = NetworkOptions(activation="scaled_sigmoid")
    side_px = NETWORK_FACTS[name].smallest_side_px
    shape = NetworkShape(num_classes=4, channels=1, side_px=side_px, dropout=0.0, options=options)
    network = build_network(name, shape, weights="none", seed=1)
    kinds = [type(module) for module in network.modules()]
    assert nn.ReLU not in kinds
    assert ScaledSigmoid in kinds
    network(torch.rand(2, 1, side_px, side_px)).square().sum().backward()
    factors = [p.grad for n, p in network.named_parameters() if n.endswith(".a")]
    assert len(factors) == kinds.count(ScaledSigmoid)
    assert all(grad is not None for grad in factors)


def test_a_module_used_in_two_places_stays_one() -> None:
    shared = nn.ReLU()
    network = nn.ModuleDict({"first": shared, "below": nn.Sequential(shared, nn.ReLU())})
    set_activation(network, "tanh")
    below = network["below"]
    assert isinstance(below, nn.Sequential)
    assert all(isinstance(each, nn.Tanh) for each in below)
    assert below[0] is not below[1]
