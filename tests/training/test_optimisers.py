"""Steps of each optimiser by hand and beside torch's own, and what does not decay."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.params.load import check
from cnnpipe.params.optimisers import AdamParams, AdamWParams, OptimiserParams, RmsPropParams, SgdParams
from cnnpipe.training.optimisers import make_optimiser, set_learning_rate
from cnnpipe.training.transfer import Part, Transfer


def layer_at_one() -> nn.Linear:
    layer = nn.Linear(1, 1)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    return layer


def step(layer: nn.Linear, params: OptimiserParams, *, times: int = 1) -> tuple[float, float]:
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
            id="adamw: the first step is the rate, decay apart from it",
        ),
        pytest.param(
            AdamParams(name="adam", learning_rate=0.1, weight_decay=0.5),
            *(1, 1 - 0.1, 1 - 0.1),
            id="adam: decay is in the gradient, whose length does not matter at first",
        ),
        pytest.param(
            RmsPropParams(name="rmsprop", learning_rate=0.1, smoothing=0.9, momentum=0.0, weight_decay=0.5),
            *(1, 1 - 0.1 / 0.1**0.5, 1 - 0.1 / 0.1**0.5),
            id="rmsprop: by the root of a tenth of the square",
        ),
    ],
)
def test_steps_by_hand(params: OptimiserParams, times: int, weight: float, bias: float) -> None:
    assert step(layer_at_one(), params, times=times) == pytest.approx((weight, bias))


@pytest.mark.parametrize(
    ("params", "plain"),
    [
        pytest.param(
            SgdParams(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.3),
            lambda weights: torch.optim.SGD(weights, 0.1, momentum=0.9, nesterov=True, weight_decay=0.3),
            id="sgd",
        ),
        pytest.param(
            AdamParams(name="adam", learning_rate=0.1, weight_decay=0.3),
            lambda weights: torch.optim.Adam(weights, 0.1, weight_decay=0.3),
            id="adam",
        ),
        pytest.param(
            AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.3),
            lambda weights: torch.optim.AdamW(weights, 0.1, weight_decay=0.3),
            id="adamw",
        ),
        pytest.param(
            RmsPropParams(name="rmsprop", learning_rate=0.1, smoothing=0.8, momentum=0.9, weight_decay=0.3),
            lambda weights: torch.optim.RMSprop(weights, 0.1, alpha=0.8, momentum=0.9, weight_decay=0.3),
            id="rmsprop",
        ),
    ],
)
def test_three_steps_are_those_of_torch(
    params: OptimiserParams, plain: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
) -> None:
    """Of a matrix, in the steepness of (wx - y)², whose gradient changes as it learns."""
    inputs, targets = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([[1.0], [0.5]])
    networks = [nn.Linear(2, 1, bias=False) for _ in range(2)]
    for network in networks:
        nn.init.constant_(network.weight, 0.7)
    optimisers = [make_optimiser(networks[0], params), plain(list(networks[1].parameters()))]
    for network, optimiser in zip(networks, optimisers, strict=True):
        for _ in range(3):
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.mse_loss(network(inputs), targets))
            optimiser.step()
    torch.testing.assert_close(networks[0].weight, networks[1].weight)


def test_adam_and_adamw_differ_by_where_the_decay_is() -> None:
    """After two steps: a gradient of 2 beside a decay of 0.5 is another one than a gradient of 2 alone."""
    weights = {
        name: step(layer_at_one(), kind(name=name, learning_rate=0.1, weight_decay=0.5), times=2)[0]
        for name, kind in {"adam": AdamParams, "adamw": AdamWParams}.items()
    }
    assert weights["adamw"] == pytest.approx((1 * 0.95 - 0.1) * 0.95 - 0.1)
    assert weights["adam"] == pytest.approx(0.8, abs=1e-3)


def test_nesterov_without_momentum_is_refused() -> None:
    value = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0, "nesterov": True, "weight_decay": 0.0}
    with pytest.raises(ParamsError, match="momentum must be above 0 where nesterov is true"):
        check(value, SgdParams, where="params.yaml", section="optimiser")


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
    slow = Part("slow", tuple(network[0].parameters()), norms=(), rate_share=0.1, thaw_step=0)
    transfer = Transfer((slow,))
    optimiser = make_optimiser(
        network, AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.5), transfer
    )
    set_learning_rate(optimiser, 0.02)
    assert [(len(g["params"]), g["weight_decay"], g["lr"]) for g in optimiser.param_groups] == [
        (1, 0.5, 0.02), (1, 0.0, 0.02), (1, 0.5, 0.002), (1, 0.0, 0.002),
    ]  # fmt: skip
    assert [p.numel() for g in optimiser.param_groups for p in g["params"]] == [3, 1, 6, 3]


def test_a_part_that_never_learns_has_no_group() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    never = Part("never", tuple(network[0].parameters()), norms=(), rate_share=0.0, thaw_step=None)
    params = AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.5)
    optimiser = make_optimiser(network, params, Transfer((never,)))
    assert [p.numel() for g in optimiser.param_groups for p in g["params"]] == [3, 1]


def test_the_rate_is_set_for_every_group() -> None:
    optimiser = make_optimiser(layer_at_one(), AdamWParams(name="adamw", learning_rate=0.1, weight_decay=0.0))
    set_learning_rate(optimiser, 0.025)
    assert [group["lr"] for group in optimiser.param_groups] == [0.025, 0.025]
