"""VGG on pictures of any side, and what a shallow one gives to a deeper one."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError
from cnnpipe.models.growth import copy_layers
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.vgg import vgg
from cnnpipe.params.networks import GROWTHS


def network_of(name: str, *, num_classes: int = 4, channels: int = 1, side_px: int = 32) -> nn.Module:
    """Return a network of shapes without numbers."""
    shape = NetworkShape(num_classes=num_classes, channels=channels, side_px=side_px, dropout=0.5)
    with torch.device("meta"):
        return vgg(name, shape)


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module]:
    shape = NetworkShape(num_classes=4, channels=1, side_px=32, dropout=0.0)
    shallow, deep = (build_network(f"vgg{depth}_bn", shape, weights="none", seed=depth) for depth in (11, 13))
    shallow.train()(torch.rand(4, 1, 32, 32))  # statistics of batch norm, too, are to be copied
    return shallow, deep


@pytest.mark.parametrize("name", [name for grown in GROWTHS for name in grown])
def test_at_224_px_tensors_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        expected = get_model(name, weights=None)
    found = network_of(name, num_classes=1000, channels=3, side_px=224)
    sizes = {tensor: values.shape for tensor, values in found.state_dict().items()}
    assert sizes == {tensor: values.shape for tensor, values in expected.state_dict().items()}


@pytest.mark.parametrize(
    ("side_px", "width"), [(32, 512), (48, 512), (64, 2_048), (96, 4_608), (224, 25_088)]
)
def test_the_first_full_connection_spans_the_maps(side_px: int, width: int) -> None:
    network = network_of("vgg11", side_px=side_px)
    assert network.get_parameter("classifier.0.weight").shape == (4_096, width)
    assert network(torch.empty(2, 1, side_px, side_px, device="meta")).shape == (2, 4)


def test_thirteen_layers_take_over_all_of_eleven(pair: tuple[nn.Module, nn.Module]) -> None:
    """Table 1: column B has a second convolution in blocks 1 and 2; places as torchvision numbers them."""
    shallow, deep = pair[0], copy.deepcopy(pair[1])
    copied = copy_layers(shallow, deep)
    given, own, start = shallow.state_dict(), deep.state_dict(), pair[1].state_dict()
    places = {
        0: 0,
        4: 7,
        8: 14,
        11: 17,
        15: 21,
        18: 24,
        22: 28,
        25: 31,
    }  # of convolutions; batch norm follows
    for old, new in places.items():
        for leaf in ("weight", "bias"):
            assert torch.equal(own[f"features.{new}.{leaf}"], given[f"features.{old}.{leaf}"])
        for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            assert torch.equal(own[f"features.{new + 1}.{leaf}"], given[f"features.{old + 1}.{leaf}"])
    for full in (0, 3, 6):
        assert torch.equal(own[f"classifier.{full}.weight"], given[f"classifier.{full}.weight"])
    new_layers = ("features.3.", "features.4.", "features.10.", "features.11.")
    assert set(own) - set(copied) == {name for name in own if name.startswith(new_layers)}
    assert all(torch.equal(own[name], start[name]) for name in set(own) - set(copied))


def test_what_is_copied_learns_on_its_own(pair: tuple[nn.Module, nn.Module]) -> None:
    shallow, deep = pair[0], copy.deepcopy(pair[1])
    copy_layers(shallow, deep)
    before = shallow.get_parameter("features.0.weight").clone()
    with torch.no_grad():
        deep.get_parameter("features.0.weight").zero_()
    assert torch.equal(shallow.get_parameter("features.0.weight"), before)


def test_a_head_of_other_classes_keeps_its_start(pair: tuple[nn.Module, nn.Module]) -> None:
    other = NetworkShape(num_classes=7, channels=1, side_px=32, dropout=0.0)
    deep = build_network("vgg13_bn", other, weights="none", seed=3)
    head: Tensor = deep.get_parameter("classifier.6.weight").clone()
    copied = copy_layers(pair[0], deep)
    assert {name for name in copied if name.startswith("classifier.")} == {
        "classifier.0.bias", "classifier.0.weight", "classifier.3.bias", "classifier.3.weight",
    }  # fmt: skip
    assert torch.equal(deep.get_parameter("classifier.6.weight"), head)


@pytest.mark.parametrize("shallower", [0, 1, 2])
@pytest.mark.parametrize("grown", GROWTHS, ids=["plain", "batch_norm"])
def test_each_step_of_growth_fits(grown: tuple[str, ...], shallower: int) -> None:
    shallow, deep = network_of(grown[shallower]), network_of(grown[shallower + 1])
    copied = copy_layers(shallow, deep)
    assert len(copied) == len(shallow.state_dict())


@pytest.mark.parametrize(
    ("shallow", "deep", "told"),
    [
        ("vgg13", "vgg11", "is not deeper"),
        ("vgg11", "vgg11", "is not deeper"),
        ("vgg11", "vgg13_bn", "only one of them has batch norm"),
        ("vgg11_bn", "vgg13", "only one of them has batch norm"),
    ],
)
def test_other_pairs_are_refused(shallow: str, deep: str, told: str) -> None:
    with pytest.raises(ParamsError, match=told) as caught:
        copy_layers(network_of(shallow), network_of(deep))
    assert "vgg11 to vgg13" in caught.value.fix


def test_only_vgg_grows() -> None:
    with pytest.raises(ParamsError, match="only VGG grows"):
        copy_layers(nn.Linear(2, 2), network_of("vgg11"))


def test_grey_does_not_grow_into_colour() -> None:
    with pytest.raises(ParamsError, match="other channels"):
        copy_layers(network_of("vgg11"), network_of("vgg13", channels=3))
