"""AlexNet and ZFNet: the papers' numbers, worked by hand, and small pictures."""

import pytest
import torch
from torch import nn
from torchvision.models import alexnet as torchvision_alexnet  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError
from cnnpipe.models.alexnet import alexnet, alexnet2012, local_response_norm, zfnet
from cnnpipe.models.building import num_parameters
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions


def shape_of(side_px: int = 224, **options: str) -> NetworkShape:
    return NetworkShape(
        num_classes=1000,
        channels=3,
        side_px=side_px,
        dropout=0.5,
        options=NetworkOptions.model_validate(options),
    )


def on_meta(make: object, shape: NetworkShape) -> nn.Module:
    assert callable(make)
    with torch.device("meta"):
        network: nn.Module = make(shape)
    return network


def by_layer(network: nn.Module) -> list[int]:
    return [
        num_parameters(module) for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]


def test_two_towers_have_the_papers_parameters() -> None:
    """Each tower sees its own half: 5·5·48·256, 3·3·192·384 and 3·3·192·256 weights, with one bias a map."""
    network = on_meta(alexnet2012, shape_of())
    assert by_layer(network) == [
        11 * 11 * 3 * 96 + 96,
        5 * 5 * 48 * 256 + 256,
        3 * 3 * 256 * 384 + 384,
        3 * 3 * 192 * 384 + 384,
        3 * 3 * 192 * 256 + 256,
        6 * 6 * 256 * 4096 + 4096,
        4096 * 4096 + 4096,
        4096 * 1000 + 1000,
    ]
    assert num_parameters(network) == 60_965_224  # "60 million"


def test_two_towers_have_the_papers_neurons() -> None:
    """Caption of its figure 2, but for the first: 253,440 stand there, where 55 · 55 · 96 are 290,400."""
    network = on_meta(alexnet2012, shape_of())
    sizes = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda _module, _given, made: sizes.append(made[0].numel()))
    network(torch.empty(1, 3, 224, 224, device="meta"))
    assert sizes == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]


def test_the_towers_do_not_see_each_other_in_the_second_convolution() -> None:
    network = on_meta(alexnet2012, shape_of(64))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [layer.groups for layer in convolutions] == [1, 2, 1, 2, 2]


def test_local_response_norm_is_the_papers_formula() -> None:
    """Of five maps with 1, 2, 3, 4, 5 in a cell: the middle one divides by (2 + 1e-4 · 55)^0.75."""
    cells = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 5, 1, 1)
    found = local_response_norm()(cells).flatten()
    assert found[2].item() == pytest.approx(3 / (2 + 1e-4 * 55) ** 0.75, rel=1e-6)
    assert found[0].item() == pytest.approx(1 / (2 + 1e-4 * 14) ** 0.75, rel=1e-6)


def test_one_tower_has_torchvisions_tensors_at_224_px() -> None:
    with torch.device("meta"):
        expected = torchvision_alexnet(weights=None)
    found = on_meta(alexnet, shape_of())
    sizes = {name: tensor.shape for name, tensor in found.state_dict().items()}
    assert sizes == {name: tensor.shape for name, tensor in expected.state_dict().items()}


@pytest.mark.parametrize(("widths", "maps"), [("paper", (512, 1024, 512)), ("course", (512, 512, 1024))])
def test_zfnet_has_the_widths_that_are_asked_for(widths: str, maps: tuple[int, int, int]) -> None:
    third, fourth, fifth = maps
    assert by_layer(on_meta(zfnet, shape_of(widths=widths))) == [
        7 * 7 * 3 * 96 + 96,
        5 * 5 * 96 * 256 + 256,
        3 * 3 * 256 * third + third,
        3 * 3 * third * fourth + fourth,
        3 * 3 * fourth * fifth + fifth,
        6 * 6 * fifth * 4096 + 4096,
        4096 * 4096 + 4096,
        4096 * 1000 + 1000,
    ]


def test_zfnet_has_the_papers_maps() -> None:
    """Its figure 3: 110, 55, 26, 13, 13 and 6 px."""
    network = on_meta(zfnet, shape_of())
    sides = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            module.register_forward_hook(lambda _module, _given, made: sides.append(made.shape[-1]))
    network(torch.empty(1, 3, 224, 224, device="meta"))
    assert sides == [110, 55, 26, 13, 13, 13, 13, 6]


@pytest.mark.parametrize(("make", "side_px", "width"), [(alexnet, 96, 256 * 4), (zfnet, 96, 512 * 4)])
def test_small_pictures_make_small_full_connections(make: object, side_px: int, width: int) -> None:
    first = next(m for m in on_meta(make, shape_of(side_px)).modules() if isinstance(m, nn.Linear))
    assert first.in_features == width


@pytest.mark.parametrize(
    ("make", "side_px", "told"),
    [
        (alexnet2012, 62, r"62 → 14 → 6 → 2: a window of 3 px does not fit on 2 px"),
        (zfnet, 52, r"52 → 24 → 12 → 4 → 2: a window of 3 px does not fit on 2 px"),
    ],
)
def test_a_side_too_small_is_refused_with_the_arithmetic(make: object, side_px: int, told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        on_meta(make, shape_of(side_px))
    on_meta(make, shape_of(side_px + 1))
