"""Receptive fields: against gradients, and against figures of the literature."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model  # type: ignore[import-untyped]  # no stubs

from cnnpipe.models.layer_report import ReportedLayer, report_layers

SIDE = 64


class Branches(nn.Module):
    """A strided stem, then a wide and a narrow way side by side, joined by `join`."""

    def __init__(self, join: Callable[[list[Tensor]], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.narrow = nn.Conv2d(2, 2, 1)
        self.wide = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1))
        self.join = join

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.stem(maps)
        return self.join([self.narrow(maps), self.wide(maps)])


class Layout(nn.Module):
    """Places are put last, mixed by a full connection over features, and put back through one row."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 4, stride=4)
        self.norm = nn.LayerNorm(4)
        self.features = nn.Linear(4, 4)
        self.last = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.stem(maps)
        rows = self.features(self.norm(maps.flatten(2).transpose(1, 2)))
        mixed: Tensor = self.last(rows.transpose(1, 2).reshape(maps.shape))
        return mixed


SMALL: dict[str, Callable[[], nn.Module]] = {
    "dilated": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, dilation=3), nn.Conv2d(2, 2, 5, stride=2, padding=2)),
    "pooled": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.AvgPool2d(3, 2, 1), nn.Conv2d(2, 2, 3), nn.AvgPool2d(2)
    ),
    "transposed": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ConvTranspose2d(2, 2, 4, stride=2)),
    "uneven": lambda: nn.Sequential(nn.Conv2d(1, 2, (3, 7)), nn.Conv2d(2, 2, (5, 1), stride=(2, 1))),
    "added": lambda: Branches(sum),  # type: ignore[arg-type]
    "joined": lambda: Branches(lambda ways: torch.cat(ways, 1)),
    "padded": lambda: nn.Sequential(
        nn.ReflectionPad2d(2), nn.Conv2d(1, 1, 5), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(1, 1, 2)
    ),
    "adaptive": lambda: nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1), nn.AdaptiveAvgPool2d(16), nn.Conv2d(1, 1, 3)
    ),
    "layout": Layout,
}


def fields_of(make: Callable[[], nn.Module], *, channels: int, side_px: int) -> list[ReportedLayer]:
    return report_layers(make, channels=channels, side_px=side_px).layers


def field_by_gradient(network: nn.Module) -> tuple[int, int]:
    """Return the largest extent of the pixels that move an output in the middle, rows and columns."""
    picture = torch.rand(1, 1, SIDE, SIDE, requires_grad=True)
    maps = network.double().eval()(picture.double())
    middle = maps.shape[2] // 2
    extents = []
    for shift in (0, 1, 2, 3):  # outputs of a transposed convolution see fields of different sizes
        output = maps[0, :, middle + shift, middle + shift].sum()
        (moved,) = torch.autograd.grad(output, picture, retain_graph=True)
        rows, columns = moved[0, 0].abs().sum(1).nonzero(), moved[0, 0].abs().sum(0).nonzero()
        extents.append([int(along.max() - along.min()) + 1 for along in (rows, columns)])
    return max(rows for rows, _ in extents), max(columns for _, columns in extents)


@pytest.mark.parametrize("name", SMALL)
def test_it_is_where_the_gradient_is_not_zero(name: str) -> None:
    layers = fields_of(SMALL[name], channels=1, side_px=SIDE)
    assert layers[-1].receptive_field_px == field_by_gradient(SMALL[name]())
    assert not layers[-1].sees_all


def test_lenet_by_hand() -> None:
    """C1: 5. S2: 5 + 1 = 6. C3: 6 + 4·2 = 14. S4: 14 + 1·2 = 16."""
    layers = [nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)]
    fields = [
        layer.receptive_field_px
        for layer in fields_of(lambda: nn.Sequential(*layers), channels=1, side_px=32)
    ]
    assert fields == [(5, 5), (6, 6), (14, 14), (16, 16)]


@pytest.mark.parametrize(
    ("name", "side_px", "expected"),
    [("vgg16", 224, 212), ("inception_v3", 299, 1311), ("resnet18", 224, 435)],
)
def test_it_is_that_of_the_literature(name: str, side_px: int, expected: int) -> None:
    """VGG-16 behind its fifth pooling and Inception v3: Araujo et al. 2019, discussion of modern networks.

    ResNet-18 by hand: 7 of the stem, 11 behind its pooling, + 8·4 for the four convolutions at jump 4; then
    for each stage of jump J, whose first convolution moves at J/2, J + 3·2J: 11 + 32 + 7·(8 + 16 + 32) = 435.
    """
    settings = {"weights": None} | ({"init_weights": False} if name == "inception_v3" else {})
    layers = fields_of(lambda: get_model(name, **settings), channels=3, side_px=side_px)
    local = [layer.receptive_field_px for layer in layers if not layer.sees_all]
    assert local[-1] == (expected, expected)


class Excited(nn.Module):
    """Squeeze-and-excitation in short."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps * maps.mean((2, 3), keepdim=True).sigmoid()


class Attended(nn.Module):
    """Attention over all places."""

    def forward(self, maps: Tensor) -> Tensor:
        rows = maps.flatten(2).transpose(1, 2)
        return functional.scaled_dot_product_attention(rows, rows, rows)


@pytest.mark.parametrize(
    "mixing",
    [nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Flatten(), nn.Linear(14 * 14, 2)), Excited(), Attended()],
    ids=lambda module: type(module).__name__,
)
def test_what_mixes_all_places_sees_the_whole_picture(mixing: nn.Module) -> None:
    layers = fields_of(lambda: nn.Sequential(nn.Conv2d(1, 1, 3), mixing), channels=1, side_px=16)
    assert (layers[0].sees_all, layers[-1].sees_all) == (False, True)
    assert layers[-1].receptive_field_px == (16, 16)


def test_a_series_of_columns_sees_all_rows() -> None:
    make = lambda: nn.Sequential(nn.Flatten(1, 2), nn.Conv1d(16, 4, 5), nn.MaxPool1d(2))  # noqa: E731
    layers = fields_of(make, channels=1, side_px=16)
    assert [layer.receptive_field_px for layer in layers[1:]] == [(16, 5), (16, 6)]
    assert not layers[-1].sees_all


class Rolled(nn.Module):
    """Something that no rule knows."""

    def forward(self, maps: Tensor) -> Tensor:
        return functional.interpolate(maps, scale_factor=2).relu()


def test_what_cannot_be_followed_is_not_known() -> None:
    assert fields_of(Rolled, channels=1, side_px=16)[-1].receptive_field_px is None
