"""The Inception family: auxiliary classifiers, the tables of the papers, and what 1x1 reductions save."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.googlenet import GoogLeNet  # type: ignore[import-untyped]  # no stubs
from torchvision.models.inception import Inception3  # type: ignore[import-untyped]

from cnnpipe.models.building import num_parameters
from cnnpipe.models.googlenet_naive import naive_module
from cnnpipe.models.networks import NETWORKS, build_network
from cnnpipe.models.outputs import WithAuxiliaries
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.networks import NETWORK_FACTS


def shape_of(
    *, side_px: int = 64, num_classes: int = 1000, channels: int = 3, **options: Any
) -> NetworkShape:
    return NetworkShape(
        num_classes=num_classes,
        channels=channels,
        side_px=side_px,
        dropout=0.0,
        options=NetworkOptions.model_validate(options),
    )


def on_meta(name: str, **shape: Any) -> nn.Module:
    with torch.device("meta"):
        return NETWORKS[name](shape_of(**shape))


def maps_of(network: nn.Module, side_px: int) -> dict[str, tuple[int, int]]:
    """Return channels and side of the maps behind each part of the network."""
    found = {}

    def note(name: str, made: Tensor) -> None:
        if made.ndim == 4:
            found[name] = (made.shape[1], made.shape[2])

    for name, part in network.named_children():
        part.register_forward_hook(lambda _part, _given, made, name=name: note(name, made))
    network(torch.empty(1, 3, side_px, side_px, device="meta"))
    return found


@pytest.mark.parametrize(("name", "num_auxiliaries"), [("googlenet", 2), ("inception_v3", 1)])
def test_auxiliary_classifiers_speak_in_training_alone(name: str, num_auxiliaries: int) -> None:
    network = build_network(
        name, shape_of(side_px=80, num_classes=4, channels=1), weights="none", seed=1
    ).train()
    pictures = torch.rand(2, 1, 80, 80)
    output = network(pictures)
    assert isinstance(output, WithAuxiliaries)
    assert [logits.shape for logits in output.auxiliaries] == num_auxiliaries * [(2, 4)]
    assert isinstance(network.eval()(pictures), Tensor)


def test_the_first_auxiliary_classifier_is_the_one_nearest_to_the_input() -> None:
    network = build_network("googlenet", shape_of(num_classes=4), weights="none", seed=1).train()
    network.get_submodule("aux1").register_forward_hook(lambda *_: torch.full((2, 4), 7.0))
    output = network(torch.rand(2, 3, 64, 64))
    assert output.auxiliaries[0].unique().tolist() == [7.0]
    assert output.auxiliaries[1].unique().tolist() != [7.0]


@pytest.mark.parametrize(("name", "expected"), [("googlenet", 6_624_904), ("inception_v3", 23_834_568)])
def test_weight_0_builds_without_auxiliary_classifiers(name: str, expected: int) -> None:
    """As torchvision lists the first; the second is 27,161,264 less the 3,326,696 of `AuxLogits`."""
    network = on_meta(name, auxiliary_weight=0.0)
    assert num_parameters(network) == expected
    assert isinstance(network.train()(torch.empty(2, 3, 96, 96, device="meta")), Tensor)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("googlenet", lambda: GoogLeNet(init_weights=False)),
        ("inception_v3", lambda: Inception3(init_weights=False)),
    ],
)
def test_tensors_have_torchvisions_names(name: str, source: Any) -> None:
    with torch.device("meta"):
        expected = source().state_dict()
    found = on_meta(name).state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


def test_inception_v3s_auxiliary_classifier_is_torchvisions_where_that_fits() -> None:
    network = build_network(
        "inception_v3", shape_of(side_px=75, num_classes=4), weights="none", seed=1
    ).eval()
    auxiliary: Any = network.get_submodule("AuxLogits")
    maps = torch.rand(1, 768, 17, 17, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pooled = functional.avg_pool2d(maps, kernel_size=5, stride=3)
        expected = auxiliary.fc(auxiliary.conv1(auxiliary.conv0(pooled)).flatten(1))
        torch.testing.assert_close(auxiliary(maps), expected)
        assert auxiliary(maps[..., :3, :3]).shape == (1, 4)


def test_inception_v2_has_the_papers_maps() -> None:
    """Figure 5, column "output size"; 3c and 4e stand there with the side before their stride."""
    found = maps_of(on_meta("inception_v2"), 224)
    expected = {"conv1": (64, 112), "maxpool1": (64, 56), "conv3": (192, 56), "maxpool2": (192, 28)}
    expected |= {"inception3a": (256, 28), "inception3b": (320, 28), "inception3c": (576, 14)}
    expected |= {f"inception4{module}": (576, 14) for module in "abcd"}
    expected |= {"inception4e": (1024, 7), "inception5a": (1024, 7), "inception5b": (1024, 7)}
    assert {name: size for name, size in found.items() if name in expected} == expected


def test_a_module_of_inception_v2_has_the_weights_of_its_row() -> None:
    """3a: 64 | 64, 64 | 64, 96 | 32 on 192 maps; with scale and shift for each map of batch norm."""
    module = on_meta("inception_v2").get_submodule("inception3a")
    weights = 192 * (64 + 64 + 64 + 32) + 9 * (64 * 64 + 64 * 96 + 96 * 96)
    assert num_parameters(module) == weights + 2 * (64 + 64 + 64 + 64 + 96 + 96 + 32)


def test_inception_v2_begins_with_a_separable_convolution() -> None:
    """Eight filters for each channel, then 64 over all of them."""
    first = on_meta("inception_v2").get_submodule("conv1")
    assert num_parameters(first) == 24 * 7 * 7 + 24 * 64 + 2 * 64


def test_a_naive_module_counts_what_the_course_counts() -> None:
    """128, 192 and 96 filters on 28 x 28 x 256: 672 maps and 854 million multiply-adds."""
    with torch.device("meta"):
        module = naive_module(256, (128, 192, 96))
        maps = torch.empty(1, 256, 28, 28)
    with FlopCounterMode(display=False) as counter:
        assert module(maps).shape == (1, 672, 28, 28)
    assert counter.get_total_flops() / 2 == 28 * 28 * 256 * (128 + 9 * 192 + 25 * 96) == 854_196_224


def test_naive_maps_only_grow() -> None:
    found = maps_of(on_meta("googlenet_naive"), 224)
    widths = [channels for name, (channels, _) in found.items() if name.startswith("inception")]
    assert widths == [416, 832, 1280, 1728, 2176, 2640, 3344, 4048, 4944]
    assert found["inception5b"] == (4944, 7)


def test_reductions_save_most_of_parameters_and_operations() -> None:
    naive, reduced = NETWORK_FACTS["googlenet_naive"], NETWORK_FACTS["googlenet"]
    assert naive.num_parameters is not None
    assert naive.flops is not None
    assert reduced.flops is not None
    assert naive.num_parameters > 14 * 6_624_904  # of GoogLeNet without auxiliary classifiers
    assert naive.flops > 8 * reduced.flops
