"""How weights start: torch's draws, the variances of the papers, and what they are for."""

from typing import get_args

import pytest
import torch
from torch import nn

from cnnpipe.models.initialisation import STARTS, start_he_then_xavier, start_layers, with_channels
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions, Start

# of a full connection from 300 to 200 and a convolution of 3x3 from 30 to 60: fan_in 270, fan_out 540
VARIANCES = {"he": (2 / 300, 2 / 270), "xavier": (2 / 500, 2 / 810)}


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(300, 200), nn.Conv2d(30, 60, kernel_size=3))


def test_params_and_the_table_know_the_same_starts() -> None:
    assert set(STARTS) == set(get_args(Start))


@pytest.mark.parametrize("start", get_args(Start))
def test_weights_have_the_variance_of_the_paper_and_biases_are_zero(start: Start) -> None:
    network = layers()
    start_layers(network, start)
    kind, _, shape = start.partition("_")
    for layer, variance in zip(network, VARIANCES[kind], strict=True):
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
        largest = layer.weight.abs().max().item() / variance**0.5
        assert largest <= 3**0.5 + 1e-6 if shape == "uniform" else largest > 3  # ±√3σ is the end of a uniform
        assert layer.bias is not None
        assert not layer.bias.any()


def test_he_keeps_the_signal_through_twenty_layers_and_xavier_loses_it() -> None:
    """Mean square before each ReLU: 1 with He's weights, halved by each layer with Xavier's."""
    signal = {}
    for start in ("he_normal", "xavier_normal"):
        network = nn.Sequential(
            *(layer for _ in range(20) for layer in (nn.Linear(512, 512, bias=False), nn.ReLU()))
        )
        torch.manual_seed(0)
        start_layers(network, start)
        with torch.no_grad():
            signal[start] = network(torch.randn(256, 512)).square().mean().item() * 2
    assert 0.5 < signal["he_normal"] < 2
    assert signal["xavier_normal"] == pytest.approx(signal["he_normal"] / 2**20, rel=0.01)


def test_a_transposed_convolution_counts_what_goes_into_it() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(120, 10, kernel_size=3)
    start_layers(layer, "he_normal")
    assert layer.weight.var().item() == pytest.approx(2 / (120 * 9), rel=0.05)


def test_the_last_layer_alone_starts_by_xavier() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 100))
    start_he_then_xavier(network)
    first, _, last = network
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    assert first.weight.var().item() == pytest.approx(2 / 300, rel=0.05)
    assert last.weight.abs().max().item() <= (6 / 300) ** 0.5


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "convnext_tiny"])
def test_the_option_reaches_every_layer(name: str) -> None:
    options = NetworkOptions(start="he_uniform")
    shape = NetworkShape(num_classes=4, channels=1, side_px=32, dropout=0.0, options=options)
    network = build_network(name, shape, weights="none", seed=1)
    found = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in found:
        fan_in = layer.weight[0].numel()
        assert layer.weight.abs().max().item() <= (6 / fan_in) ** 0.5 * (1 + 1e-6)
        assert layer.bias is None or not layer.bias.any()
    largest = max(found, key=lambda layer: layer.weight.numel())
    assert largest.weight.var().item() == pytest.approx(2 / largest.weight[0].numel(), rel=0.02)


def test_first_filters_for_as_many_channels_stay_what_they_are() -> None:
    layer = nn.Conv2d(3, 8, kernel_size=7, stride=2, padding=3, bias=False)
    assert with_channels(layer, 3) is layer
    grey = with_channels(layer, 1)
    assert (grey.weight.shape, grey.stride, grey.padding, grey.bias) == ((8, 1, 7, 7), (2, 2), (3, 3), None)
