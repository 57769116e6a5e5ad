"""The report of a network's layers: against torch's own counting, and numbers worked by hand."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnpipe.errors import ParamsError
from cnnpipe.models.layer_report import LayerReport, ReportedLayer, report_layers
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.networks import NETWORK_FACTS

WRITTEN = NetworkOptions.model_validate(
    {
        "layers": [
            {"conv": {"out": 8, "kernel": 3, "stride": 2, "padding": "same"}},
            {"depthwise_separable": {"out": 16, "kernel": 3, "padding": 1, "bias": False}},
            {"activation": "scaled_sigmoid"},
            {"squeeze_excite": {"reduction": 4}},
            {"transposed": {"out": 4, "kernel": 3, "stride": 2, "padding": 1}},
            {"pool": {"kind": "global_avg"}},
            "flatten",
        ]
    }
)


def shape_of(name: str) -> NetworkShape:
    """Return the input of a network's source, or a small one of what is written."""
    facts = NETWORK_FACTS[name]
    return NetworkShape(
        num_classes=facts.num_classes or 10,
        channels=facts.channels or 3,
        side_px=facts.side_px or 32,
        dropout=0.0,
        options=WRITTEN if name == "cnn" else NetworkOptions(),
    )


def report_of(name: str, shape: NetworkShape) -> LayerReport:
    make = partial(build_network, name, shape, weights="none", seed=0)
    return report_layers(make, channels=shape.channels, side_px=shape.side_px)


@pytest.mark.parametrize("name", NETWORK_FACTS)
def test_formula_and_run_agree_and_nothing_is_lost(name: str) -> None:
    """Each parameter and operation of the facts is found in a layer; auxiliary classifiers are not run."""
    facts, shape = NETWORK_FACTS[name], shape_of(name)
    report = report_of(name, shape)
    assert report.differing == []
    assert report.layers[-1].output == [shape.num_classes]
    assert all(layer.receptive_field_px is not None for layer in report.layers)
    assert (report.parameters_of_training > 0) == (facts.auxiliary_weight is not None)
    if facts.num_parameters is not None:
        assert (report.parameters, report.flops) == (facts.num_parameters, facts.flops)


@pytest.fixture(scope="module")
def written() -> LayerReport:
    return report_of("cnn", shape_of("cnn"))


def test_operations_are_those_that_torch_counts(written: LayerReport) -> None:
    network = build_network("cnn", shape_of("cnn"), weights="none", seed=0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 3, 32, 32))
    assert written.flops == counter.get_total_flops()
    assert written.parameters == sum(one.numel() for one in network.parameters())


def test_layers_stand_in_the_order_they_run(written: LayerReport) -> None:
    told = [(layer.kind, layer.output, layer.parameters) for layer in written.layers]
    assert told == [
        ("pad", [3, 33, 33], 0),
        ("conv", [8, 16, 16], 3 * 9 * 8 + 8),
        ("depthwise conv", [8, 16, 16], 9 * 8),
        ("conv", [16, 16, 16], 8 * 16),
        ("activation", [16, 16, 16], 0),
        ("scale", [16, 16, 16], 1),
        ("flatten", [16, 256], 0),
        ("global avg pool", [16], 0),
        ("fc", [4], 16 * 4 + 4),
        ("activation", [4], 0),
        ("fc", [16], 4 * 16 + 16),
        ("activation", [16], 0),
        ("scale", [16, 16, 16], 0),
        ("transposed", [4, 31, 31], 16 * 4 * 9 + 4),
        ("global avg pool", [4, 1, 1], 0),
        ("flatten", [4], 0),
        ("dropout", [4], 0),
        ("fc", [10], 4 * 10 + 10),
    ]
    assert [layer.name for layer in written.layers[:3]] == ["layers.1.0", "layers.1.1", "layers.2.0"]


def only(layer: nn.Module, *, channels: int, side_px: int) -> ReportedLayer:
    (told,) = report_layers(lambda: layer, channels=channels, side_px=side_px).layers
    return told


def test_sharing_is_what_a_convolution_saves() -> None:
    """By hand: 3·8·8 inputs and 4·6·6 outputs; each of these sees 3·3·3."""
    layer = only(nn.Conv2d(3, 4, 3), channels=3, side_px=8)
    assert layer.fully_connected == 192 * 144
    assert layer.unshared == 27 * 144
    assert layer.parameters == 27 * 4 + 4
    assert layer.flops == 2 * 27 * 144


def test_groups_see_their_part_of_the_features() -> None:
    layer = only(nn.Conv2d(3, 3, 3, groups=3), channels=3, side_px=8)
    assert (layer.kind, layer.unshared, layer.parameters) == ("depthwise conv", 9 * 108, 27 + 3)


def test_an_unshared_transposed_convolution_is_the_convolution_it_turns_round() -> None:
    transposed = only(nn.ConvTranspose2d(3, 5, 4, stride=2, bias=False), channels=3, side_px=4)
    convolution = only(nn.Conv2d(5, 3, 4, stride=2, bias=False), channels=5, side_px=10)
    assert transposed.output == [5, 10, 10]
    assert (transposed.unshared, transposed.flops) == (convolution.unshared, convolution.flops)
    assert transposed.fully_connected == convolution.fully_connected


def test_a_layer_used_twice_counts_its_parameters_once() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1)
    report = report_layers(lambda: nn.Sequential(layer, layer), channels=1, side_px=8)
    assert [one.parameters for one in report.layers] == [10, 0]
    assert report.parameters_of_training == 0


def test_frozen_parameters_are_not_counted() -> None:
    layer = nn.Conv2d(1, 1, 3).requires_grad_(requires_grad=False)
    assert only(layer, channels=1, side_px=8).parameters == 0


class Cut(nn.Conv2d):
    """A convolution whose last column is left out."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(maps)[..., :-1]


def test_what_only_cuts_is_no_layer() -> None:
    assert only(Cut(1, 1, 3), channels=1, side_px=8).output == [1, 6, 6]


def test_a_difference_is_told() -> None:
    layer = ReportedLayer(
        name="c1",
        kind="conv",
        input=[1, 8, 8],
        output_by_formula=[1, 7, 7],
        output=[1, 6, 6],
        parameters=10,
        fully_connected=None,
        unshared=None,
        receptive_field_px=(3, 3),
        sees_all=False,
        flops=0,
    )
    report = LayerReport(layers=[layer], parameters=10, parameters_of_training=0, flops=0)
    assert report.differing == [layer]


def test_a_network_that_computes_with_numbers_while_it_is_built_is_reported_too() -> None:
    def make() -> nn.Module:
        return nn.Conv2d(1, int(torch.full((), 3).item()), 3)

    assert report_layers(make, channels=1, side_px=8).layers[0].output == [3, 6, 6]


def test_a_picture_that_is_too_small_is_refused() -> None:
    shape = NetworkShape(num_classes=4, channels=3, side_px=8, dropout=0.0)
    with pytest.raises(ParamsError, match="too small for lenet"):
        report_of("lenet", shape)


def test_torchs_generator_stays_as_it_was() -> None:
    state = torch.get_rng_state()
    report_of("lenet", shape_of("lenet"))
    assert torch.equal(torch.get_rng_state(), state)
