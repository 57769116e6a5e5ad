"""Any network of timm by its own name: checked, fitted to the input, and with a head that is known."""

import pytest
import torch
from torch import Tensor, nn

from cnnpipe.errors import ParamsError
from cnnpipe.models.heads import is_of_head
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions


def built(name: str, *, side_px: int = 32, channels: int = 1, dropout: float = 0.0) -> nn.Module:
    shape = NetworkShape(num_classes=5, channels=channels, side_px=side_px, dropout=dropout)
    return build_network(name, shape, weights="none", seed=1)


@pytest.mark.parametrize(
    ("name", "side_px", "channels", "head"),
    [
        ("timm/resnet10t", 32, 1, ["fc.weight", "fc.bias"]),
        (
            "timm/vit_tiny_patch16_224",
            48,
            3,
            ["head.weight", "head.bias"],
        ),  # its positions are those of 48 px
    ],
)
def test_a_network_of_timm_learns_and_has_a_head(
    name: str, side_px: int, channels: int, head: list[str]
) -> None:
    network = built(name, side_px=side_px, channels=channels)
    logits: Tensor = network(torch.rand(2, channels, side_px, side_px))
    assert logits.shape == (2, 5)
    torch.autograd.backward(logits.logsumexp(dim=1).sum())
    assert all(p.grad is not None for p in network.parameters())
    assert [each for each, _ in network.named_parameters() if is_of_head(name, each)] == head


def test_a_name_that_timm_does_not_know_is_met_with_the_nearest() -> None:
    with pytest.raises(ParamsError, match="timm has no network 'resnet8'") as caught:
        built("timm/resnet8")
    assert caught.value.fix.startswith("did you mean 'timm/resnet")


def test_an_input_that_does_not_fit_is_refused_in_timms_words() -> None:
    with pytest.raises(
        ParamsError, match=r"timm/inception_v4: cannot take 1 x 32 x 32: .*[Kk]ernel"
    ) as caught:
        built("timm/inception_v4")
    assert "input.side_px" in caught.value.fix


def test_weights_start_as_the_option_says() -> None:
    options = NetworkOptions(start="xavier_uniform")
    shape = NetworkShape(num_classes=5, channels=1, side_px=32, dropout=0.0, options=options)
    network = build_network("timm/resnet10t", shape, weights="none", seed=1)
    weight = network.get_parameter("layer4.0.conv2.weight")
    limit = (6 / (9 * (512 + 512))) ** 0.5
    assert 0.99 * limit < weight.abs().max().item() <= limit
