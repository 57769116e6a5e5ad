"""One step of each optimiser by hand, and what does not decay."""

import pytest
import torch
from torch import nn

from cnnpipe.params.optimisers import AdamWParams, SgdParams
from cnnpipe.training.optimisers import make_optimiser, set_learning_rate
from cnnpipe.training.transfer import Transfer


def layer_at_one() -> nn.Linear:
    layer = nn.Linear(1, 1)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    return layer


def step(layer: nn.Linear, params: SgdParams | AdamWParams, *, times: int = 1) -> tuple[float, float]:
    """Step with both gradients at 2; return weight and bias."""
    optimiser = make_optimiser(layer, params)
    for _ in range(times):
        layer.weight.grad, layer.bias.grad = torch.full((1, 1), 2.0), torch.full((1,), 2.0)
        optimiser.step()
    return layer.weight.item(), layer.bias.item()


@pytest.mark.parametrize(
    ("params", "times", "weight", "bias"),
    [
        pytest.param(
            SgdParams(name="sgd", learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.5),
            *(1, 1 - 0.1 * (2 + 0.5), 1 - 0.1 * 2),
            id="sgd: only the weight decays",
        ),
        pytest.param(
            SgdParams(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0),
            *(2, 1 - 0.1 * 2 - 0.1 * (0.9 * 2 + 2), 1 - 0.1 * 2 - 0.1 * (0.9 * 2 + 2)),
            id="sgd: momentum keeps 0.9 of the last step",
        ),
        pytest.param(
            SgdParams(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.0),
            *(1, 1 - 0.1 * (2 + 0.9 * 2), 1 - 0.1 * (2 + 0.9 * 2)),
            id="sgd: nesterov looks ahead",
        ),
        pytest.param(
            AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.5),
            *(1, 1 * (1 - 0.1 * 0.5) - 0.1, 1 - 0.1),
            id="adam: the first step is the rate, decay apart from it",
        ),
    ],
)
def test_steps_by_hand(params: SgdParams | AdamWParams, times: int, weight: float, bias: float) -> None:
    assert step(layer_at_one(), params, times=times) == pytest.approx((weight, bias))


def test_every_parameter_is_in_one_group_and_normalisation_does_not_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    optimiser = make_optimiser(network, AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.5))
    decaying, kept = optimiser.param_groups
    assert (decaying["weight_decay"], kept["weight_decay"]) == (0.5, 0.0)
    assert [p.ndim for p in decaying["params"]] == [4, 2]
    assert len(decaying["params"]) + len(kept["params"]) == len(list(network.parameters()))


def test_frozen_parameters_are_left_out() -> None:
    layer = layer_at_one()
    layer.bias.requires_grad_(False)
    optimiser = make_optimiser(layer, AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.0))
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 1


def test_a_backbone_has_groups_and_a_rate_of_its_own() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    transfer = Transfer(
        parameters=tuple(network[0].parameters()),
        norms=(),
        rate_share=0.1,
        thaw_step=0,
        has_held_norms=False,
    )
    optimiser = make_optimiser(
        network, AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.5), transfer
    )
    set_learning_rate(optimiser, 0.02)
    assert [(len(g["params"]), g["weight_decay"], g["lr"]) for g in optimiser.param_groups] == [
        (1, 0.5, 0.02), (1, 0.0, 0.02), (1, 0.5, 0.002), (1, 0.0, 0.002),
    ]  # fmt: skip
    assert [p.numel() for g in optimiser.param_groups for p in g["params"]] == [3, 1, 6, 3]


def test_the_rate_is_set_for_every_group() -> None:
    optimiser = make_optimiser(layer_at_one(), AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.0))
    set_learning_rate(optimiser, 0.025)
    assert [group["lr"] for group in optimiser.param_groups] == [0.025, 0.025]
