"""LeNet-5: the paper's numbers, and what is worked out before it runs."""

import pytest
import torch
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.building import num_parameters
from cnnpipe.models.lenet import LeNet5, side_after_s4
from cnnpipe.models.shape import NetworkShape


def shape_of(
    *, side_px: int = 32, channels: int = 1, num_classes: int = 10, dropout: float = 0.0
) -> NetworkShape:
    return NetworkShape(num_classes=num_classes, channels=channels, side_px=side_px, dropout=dropout)


def test_the_papers_size_has_the_papers_parameters() -> None:
    network = LeNet5(shape_of())
    by_layer = {
        name: num_parameters(layer) for name, layer in network.named_children() if num_parameters(layer)
    }
    # by hand: 6·(25+1), 16·(6·25+1) with every map seen, 120·(400+1), 84·(120+1), 10·(84+1)
    assert by_layer == {"c1": 156, "c3": 2_416, "c5": 48_120, "f6": 10_164, "output": 850}
    assert num_parameters(network) == 61_706


@pytest.mark.parametrize(("side_px", "side"), [(16, 1), (28, 4), (32, 5), (48, 9), (64, 13)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_side_gives_logits(side_px: int, side: int, channels: int) -> None:
    assert side_after_s4(side_px) == side
    network = LeNet5(shape_of(side_px=side_px, channels=channels, num_classes=6))
    assert network(torch.zeros(2, channels, side_px, side_px)).shape == (2, 6)


def test_a_side_too_small_is_refused_before_anything_runs() -> None:
    told = "15 → 11 → 5 → 1: a window of 2 px does not fit on 1 px"
    with pytest.raises(ParamsError, match=told) as caught:
        LeNet5(shape_of(side_px=15))
    assert "raise input.side_px" in caught.value.fix


def test_weights_start_by_he_and_biases_at_zero() -> None:
    torch.manual_seed(0)
    network = LeNet5(shape_of(side_px=48))
    c5 = network.c5.weight
    assert c5.shape == (120, 1_296)
    assert c5.var().item() == pytest.approx(2 / 1_296, rel=0.02)  # 155,520 draws: 0.4 % standard error
    limit = (6 / (84 + 10)) ** 0.5
    assert network.output.weight.abs().max().item() == pytest.approx(limit, rel=0.02)
    assert network.output.weight.abs().max().item() <= limit
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers)


def test_dropout_changes_training_but_not_judging() -> None:
    network = LeNet5(shape_of(dropout=0.5))
    picture = torch.ones(1, 1, 32, 32)
    assert not torch.equal(network.train()(picture), network(picture))
    assert torch.equal(network.eval()(picture), network(picture))
