"""Inception v2, also called BN-Inception: two 3x3 in the place of each 5x5, and batch norm."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from torch import nn

from cnnpipe.models.inception_modules import Branches, ending, normed
from cnnpipe.models.initialisation import start_he_then_xavier
from cnnpipe.models.shape import NetworkShape


class _Row(NamedTuple):
    """A module of the paper's table; `single`: 0 where the module halves the side."""

    single: int  # 1x1
    triple_reduced: int  # 1x1 before the 3x3
    triple: int  # 3x3
    double_reduced: int  # 1x1 before the two 3x3
    double: int  # each of the two 3x3
    pool: Literal["avg", "max"]
    projected: int = 0  # 1x1 behind the pooling; 0: passed through


# The table writes "avg + 128" for 4c and 4d, which makes 608 maps where it says 576. 96 makes the 576 of both
# and the 1024 of 4e, and is what its authors' code has: TF-Slim, nets/inception_v2.py.
_TABLE: Final = {
    "inception3a": _Row(64, 64, 64, 64, 96, "avg", 32),
    "inception3b": _Row(64, 64, 96, 64, 96, "avg", 64),
    "inception3c": _Row(0, 128, 160, 64, 96, "max"),
    "inception4a": _Row(224, 64, 96, 96, 128, "avg", 128),
    "inception4b": _Row(192, 96, 128, 96, 128, "avg", 128),
    "inception4c": _Row(160, 128, 160, 128, 160, "avg", 96),
    "inception4d": _Row(96, 128, 192, 160, 192, "avg", 96),
    "inception4e": _Row(0, 128, 192, 192, 256, "max"),
    "inception5a": _Row(352, 192, 320, 160, 224, "avg", 128),
    "inception5b": _Row(352, 192, 320, 192, 224, "max", 128),
}
_FIRST_MULTIPLIER: Final = 8  # filters of each channel of the picture, in the first convolution


def inception_v2(shape: NetworkShape) -> nn.Module:
    """Return Inception v2 with random weights: 11.2 million parameters with 1000 classes.

    The paper's text counts 13.6 million, which its table does not account for.

    Source: Ioffe and Szegedy 2015, Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift, figure 5 and section 4.2.
    """
    parts = [*_stem(shape.channels), *_modules(192)]
    network = ending(parts, nn.Linear(1024, shape.num_classes), dropout=shape.dropout)
    start_he_then_xavier(network)
    return network


def _stem(channels: int) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers before the modules; the first convolution is separable, as the appendix says."""
    depthwise = nn.Conv2d(
        *(channels, channels * _FIRST_MULTIPLIER),
        kernel_size=7,
        stride=2,
        padding=3,
        groups=channels,
        bias=False,
    )
    yield "conv1", nn.Sequential(depthwise, *normed(channels * _FIRST_MULTIPLIER, 64, 1))
    yield "maxpool1", _halved_max()
    yield "conv2", nn.Sequential(*normed(64, 64, 1))
    yield "conv3", nn.Sequential(*normed(64, 192, 3))
    yield "maxpool2", _halved_max()


def _modules(width: int) -> Iterator[tuple[str, nn.Module]]:
    for name, row in _TABLE.items():
        yield name, _module(width, row)
        width = row.single + row.triple + row.double + (row.projected or width)


def _module(width: int, row: _Row) -> Branches:
    stride = 1 if row.single else 2
    triple = nn.Sequential(
        *normed(width, row.triple_reduced, 1), *normed(row.triple_reduced, row.triple, 3, stride=stride)
    )
    double = nn.Sequential(
        *normed(width, row.double_reduced, 1),
        *normed(row.double_reduced, row.double, 3),
        *normed(row.double, row.double, 3, stride=stride),
    )
    if not row.single:
        return Branches(triple, double, _halved_max())
    single = nn.Sequential(*normed(width, row.single, 1))
    return Branches(single, triple, double, nn.Sequential(_pool(row.pool), *normed(width, row.projected, 1)))


def _pool(kind: Literal["avg", "max"]) -> nn.Module:
    if kind == "avg":
        return nn.AvgPool2d(kernel_size=3, stride=1, padding=1, count_include_pad=False)
    return nn.MaxPool2d(kernel_size=3, stride=1, padding=1)


def _halved_max() -> nn.Module:
    """Return pooling that halves the side as a convolution of stride 2 does, so that branches agree."""
    return nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
