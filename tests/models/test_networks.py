"""The table of networks: every name builds, wrong names say what is meant."""

import pytest
import torch
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.building import num_parameters
from cnnpipe.models.networks import NETWORKS, PACKAGE_WEIGHTS, build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.networks import NETWORK_WEIGHTS

SHAPE = NetworkShape(num_classes=4, channels=3, side_px=32, dropout=0.1)


def test_params_know_the_same_networks_and_weights() -> None:
    assert set(NETWORK_WEIGHTS) == set(NETWORKS)
    assert {name for name, weights in NETWORK_WEIGHTS.items() if "package" in weights} == set(PACKAGE_WEIGHTS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_takes_a_step(name: str, channels: int) -> None:
    shape = NetworkShape(num_classes=4, channels=channels, side_px=32, dropout=0.1)
    network = build_network(name, shape, weights="none", seed=1).train()
    logits_BK = network(torch.rand(2, channels, 32, 32))
    assert logits_BK.shape == (2, 4)
    logits_BK.logsumexp(dim=1).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lite0", 3_371_008 + 1_280 * 4 + 4),  # 4,652,008 with 1000 classes, 1,281,000 of them the head
        ("resnet18", 11_176_512 + 512 * 4 + 4),  # torchvision lists 11,689,512 with a head of 513,000
    ],
)
def test_parameters_are_those_of_the_source(name: str, expected: int) -> None:
    assert num_parameters(build_network(name, SHAPE, weights="none", seed=1)) == expected


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_first_weights_are_a_function_of_the_seed(name: str) -> None:
    generator = torch.get_rng_state()
    first, same, other = (build_network(name, SHAPE, weights="none", seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), generator)
    assert _numbers(first).equal(_numbers(same))
    assert not _numbers(first).equal(_numbers(other))


@pytest.mark.parametrize("name", ["lite0", "resnet18"])
def test_the_head_drops_features_in_training(name: str) -> None:
    """With almost all features dropped, the logits of two passes differ; without dropout they agree."""
    for dropout, agree in ((0.9, False), (0.0, True)):
        shape = NetworkShape(num_classes=4, channels=3, side_px=32, dropout=dropout)
        network = build_network(name, shape, weights="none", seed=1).train()
        pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        assert torch.equal(network(pictures), network(pictures)) == agree


def test_an_unknown_network_is_met_with_the_nearest_name() -> None:
    with pytest.raises(ParamsError, match="'resnet8' is not known") as caught:
        build_network("resnet8", SHAPE, weights="none", seed=1)
    assert caught.value.fix == "did you mean 'resnet18'? the networks are: lenet, lite0, resnet18"


def test_weights_that_no_package_holds_are_refused() -> None:
    with pytest.raises(ParamsError, match="no package holds weights of 'lenet'") as caught:
        build_network("lenet", SHAPE, weights="package", seed=1)
    assert "lite0" in caught.value.fix


def _numbers(network: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])
