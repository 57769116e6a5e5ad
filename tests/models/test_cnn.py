"""The network of params.yaml: each kind of layer against torch's, with the same weights."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import SqueezeExcitation  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError
from cnnpipe.models.building import num_parameters
from cnnpipe.models.cnn import ListedNetwork, cnn
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.layer_sizes import layer_sizes, read_as
from cnnpipe.params.network_options import NetworkOptions

SIDE = 13
EVERY_KIND: Sequence[Any] = (
    {"conv": {"out": 8, "kernel": 3, "stride": 2, "padding": "same", "padding_mode": "replicate"}},
    "batch_norm",
    {"activation": "leaky_relu"},
    {"depthwise_separable": {"out": 16, "kernel": 3, "padding": 1, "padding_mode": "reflect"}},
    {"squeeze_excite": {"reduction": 4}},
    {"transposed": {"out": 8, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}},
    {"pool": {"kind": "max", "kernel": 3, "stride": 2, "padding": 1, "ceil": True}},
    {"dropout": 0.1},
    {"pool": {"kind": "avg", "kernel": 2}},
    "flatten",
    "batch_norm",
    {"fc": {"out": 12}},
    {"activation": "scaled_sigmoid"},
)


def network_of(*layers: Any, axes: int = 2, channels: int = 3, dropout: float = 0.0) -> ListedNetwork:
    options = NetworkOptions.model_validate({"layers": list(layers), "axes": axes})
    shape = NetworkShape(num_classes=4, channels=channels, side_px=SIDE, dropout=dropout, options=options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = cnn(shape)
    assert isinstance(network, ListedNetwork)
    return network


def first_layer(layer: Any, *, axes: int = 2) -> nn.Module:
    """Return the module of one layer that stands before the output layer."""
    return network_of(layer, "flatten", axes=axes).layers[0]


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.mark.parametrize("axes", [1, 2])
def test_every_layer_leaves_what_the_formula_says(axes: int, pictures: Tensor) -> None:
    network = network_of(*EVERY_KIND, axes=axes)
    options = NetworkOptions.model_validate({"layers": list(EVERY_KIND)})
    assert options.layers is not None
    by_formula = layer_sizes(options.layers, read_as(channels=3, side_px=SIDE, axes=axes))
    maps = pictures if axes == 2 else pictures.flatten(1, 2)
    for layer, expected in zip(network.layers, by_formula, strict=True):
        maps = layer(maps)
        assert tuple(maps.shape[1:]) == (expected.features, *expected.places)


@pytest.mark.parametrize("axes", [1, 2])
def test_training_lowers_the_loss(axes: int, pictures: Tensor) -> None:
    network, classes = network_of(*EVERY_KIND, axes=axes).train(), torch.arange(4)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        loss = functional.cross_entropy(network(pictures), classes)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert all(one.grad is not None for one in network.parameters())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("padding", [2, "same", [1, 2]])
def test_a_convolution_is_torchs(mode: str, padding: Any, pictures: Tensor) -> None:
    settings = {"kernel": [3, 4], "dilation": 2, "padding": padding, "padding_mode": mode}
    ours = first_layer({"conv": {"out": 6, "groups": 3, **settings}})
    theirs = nn.Conv2d(
        3,
        6,
        (3, 4),
        dilation=2,
        groups=3,
        padding=tuple(padding) if isinstance(padding, list) else padding,
        padding_mode=mode,  # type: ignore[arg-type]
    )
    theirs.load_state_dict({name.split(".")[-1]: value for name, value in ours.state_dict().items()})
    torch.testing.assert_close(ours(pictures), theirs(pictures))


def test_a_convolution_of_a_series_slides_over_columns(pictures: Tensor) -> None:
    ours = first_layer({"conv": {"out": 6, "kernel": 3}}, axes=1)
    assert isinstance(ours, nn.Conv1d)
    by_hand = functional.conv2d(
        pictures, ours.weight.reshape(6, 3, SIDE, 3), ours.bias
    )  # as high as the picture
    torch.testing.assert_close(ours(pictures.flatten(1, 2)), by_hand.squeeze(2))


def test_same_with_a_stride_pads_the_odd_cell_at_the_end() -> None:
    layer = first_layer({"conv": {"out": 1, "kernel": 2, "stride": 2, "padding": "same", "bias": False}})
    weight = next(layer.parameters())
    with torch.no_grad():
        weight.fill_(1.0)
        last = layer(torch.ones(1, 3, SIDE, SIDE))[0, 0]
    assert last.shape == (7, 7)  # 13 cells, one added behind them
    assert (last[0, 0].item(), last[-1, 0].item(), last[-1, -1].item()) == (12.0, 6.0, 3.0)


def test_depthwise_separable_is_a_grouped_and_a_1x1_convolution(pictures: Tensor) -> None:
    ours = first_layer({"depthwise_separable": {"out": 10, "kernel": 3, "stride": 2, "padding": 1}})
    depthwise, pointwise = nn.Conv2d(3, 3, 3, stride=2, padding=1, groups=3), nn.Conv2d(3, 10, 1)
    depthwise.load_state_dict(ours[0].state_dict())  # type: ignore[index]
    pointwise.load_state_dict(ours[1].state_dict())  # type: ignore[index]
    torch.testing.assert_close(ours(pictures), pointwise(depthwise(pictures)))


def test_depthwise_separable_has_k2c_and_co_parameters() -> None:
    ours = first_layer({"depthwise_separable": {"out": 10, "kernel": 5, "bias": False}})
    assert num_parameters(ours) == 5 * 5 * 3 + 3 * 10  # a full one: 5·5·3·10 = 750


@pytest.mark.parametrize("axes", [1, 2])
def test_transposed_is_torchs(axes: int, pictures: Tensor) -> None:
    settings = {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}
    ours = first_layer({"transposed": {"out": 6, "groups": 3, "bias": False, **settings}}, axes=axes)
    maps = pictures if axes == 2 else pictures.flatten(1, 2)
    theirs = (functional.conv_transpose1d, functional.conv_transpose2d)[axes - 1](
        maps, next(ours.parameters()), stride=2, padding=1, output_padding=1, groups=3
    )
    torch.testing.assert_close(ours(maps), theirs)


@pytest.mark.parametrize(
    ("pool", "theirs"),
    [
        ({"kind": "max", "kernel": [2, 3]}, nn.MaxPool2d((2, 3))),
        ({"kind": "avg", "kernel": 3, "stride": 1, "padding": 1}, nn.AvgPool2d(3, 1, 1)),
        ({"kind": "max", "kernel": 2, "ceil": True}, nn.MaxPool2d(2, ceil_mode=True)),
        ({"kind": "global_max"}, lambda maps: maps.amax((2, 3), keepdim=True)),
        ({"kind": "global_avg"}, lambda maps: maps.mean((2, 3), keepdim=True)),
    ],
    ids=["max", "avg", "ceil", "global max", "global avg"],
)
def test_pooling_is_torchs(pool: Any, theirs: Any, pictures: Tensor) -> None:
    torch.testing.assert_close(first_layer({"pool": pool})(pictures), theirs(pictures))


def test_squeeze_excite_is_torchvisions(pictures: Tensor) -> None:
    ours = network_of(
        {"conv": {"out": 8, "kernel": 1}}, {"squeeze_excite": {"reduction": 4}}, "flatten"
    ).layers[1]
    theirs = SqueezeExcitation(8, 2)
    weights = zip(theirs.parameters(), ours.parameters(), strict=True)
    with torch.no_grad():
        for target, source in weights:
            target.copy_(source.reshape(target.shape))
    maps = pictures.repeat(1, 3, 1, 1)[:, :8]
    torch.testing.assert_close(ours(maps), theirs(maps))


def test_the_output_layer_is_added_and_starts_by_xavier() -> None:
    network = network_of({"conv": {"out": 16, "kernel": 3}}, "flatten")
    limit = (6 / (16 * 11 * 11 + 4)) ** 0.5
    assert network.output.weight.shape == (4, 16 * 11 * 11)
    assert network.output.weight.abs().max().item() == pytest.approx(limit, rel=0.02)
    convolution = network.layers[0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.weight.std().item() == pytest.approx((2 / 27) ** 0.5, rel=0.1)
    assert convolution.bias is not None
    assert not convolution.bias.any()


def test_dropout_before_the_output_is_the_recipes(pictures: Tensor) -> None:
    network = network_of("flatten", dropout=0.5)
    assert not torch.equal(network.train()(pictures), network(pictures))
    assert torch.equal(network.eval()(pictures), network(pictures))


def test_grey_pictures_have_one_feature() -> None:
    assert network_of({"conv": {"out": 4, "kernel": 3}}, "flatten", channels=1)(
        torch.rand(2, 1, SIDE, SIDE)
    ).shape == (2, 4)


def test_it_is_built_by_its_name_with_its_options() -> None:
    options = NetworkOptions.model_validate(
        {"layers": [{"conv": {"out": 64, "kernel": 3}}, "flatten"], "start": "xavier_uniform"}
    )
    shape = NetworkShape(num_classes=4, channels=3, side_px=SIDE, dropout=0.0, options=options)
    network = build_network("cnn", shape, weights="none", seed=1)
    assert isinstance(network, ListedNetwork)
    weight = next(network.layers.parameters())
    assert weight.abs().max().item() == pytest.approx((6 / (27 + 64 * 9)) ** 0.5, rel=0.02)


def test_without_layers_there_is_no_network() -> None:
    with pytest.raises(ParamsError, match="network cnn: it has no layers"):
        cnn(NetworkShape(num_classes=4, channels=3, side_px=SIDE, dropout=0.0))


def test_layers_that_no_memory_holds_are_told() -> None:
    """More bytes than a process can address: no system lends them."""
    options = NetworkOptions.model_validate({"layers": ["flatten", {"fc": {"out": 10**15}}]})
    shape = NetworkShape(num_classes=4, channels=1, side_px=SIDE, dropout=0.0, options=options)
    with pytest.raises(ParamsError, match="memory does not hold its weights"):
        build_network("cnn", shape, weights="none", seed=0)
