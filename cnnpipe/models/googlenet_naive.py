"""GoogLeNet without the 1x1 reductions: the naive module, which shows what they save."""

from collections.abc import Iterator
from typing import Final

from torch import nn

from cnnpipe.models.inception_modules import Branches, ending, normed
from cnnpipe.models.initialisation import start_he_then_xavier
from cnnpipe.models.shape import NetworkShape

# Maps of the 1x1, 3x3 and 5x5 filters of each module. Source: Szegedy et al. 2015, table 1.
_MODULES: Final = {
    "inception3a": (64, 128, 32),
    "inception3b": (128, 192, 96),
    "maxpool3": None,
    "inception4a": (192, 208, 48),
    "inception4b": (160, 224, 64),
    "inception4c": (128, 256, 64),
    "inception4d": (112, 288, 64),
    "inception4e": (256, 320, 128),
    "maxpool4": None,
    "inception5a": (256, 320, 128),
    "inception5b": (384, 384, 128),
}


def googlenet_naive(shape: NetworkShape) -> nn.Module:
    """Return GoogLeNet of naive modules, with batch norm and without auxiliary classifiers.

    What a module pools is joined to its output with all its maps, so that the maps grow from 192 to 4944
    where GoogLeNet has 1024: the paper's reason for the reductions.

    Source: Szegedy et al. 2015, Going Deeper with Convolutions, figure 2a in the place of figure 2b.
    """
    parts = [*_stem(shape.channels), *_modules(192)]
    width = 192 + sum(sum(filters) for filters in _MODULES.values() if filters)
    network = ending(parts, nn.Linear(width, shape.num_classes), dropout=shape.dropout)
    start_he_then_xavier(network)
    return network


def naive_module(in_channels: int, filters: tuple[int, int, int]) -> Branches:
    """Return 1x1, 3x3 and 5x5 filters and a pooling of 3x3 side by side, all on the whole input."""
    return Branches(
        *(nn.Sequential(*normed(in_channels, n, side)) for n, side in zip(filters, (1, 3, 5), strict=True)),
        nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
    )


def _stem(channels: int) -> Iterator[tuple[str, nn.Module]]:
    yield "conv1", nn.Sequential(*normed(channels, 64, 7, stride=2))
    yield "maxpool1", _pool()
    yield "conv2", nn.Sequential(*normed(64, 64, 1))
    yield "conv3", nn.Sequential(*normed(64, 192, 3))
    yield "maxpool2", _pool()


def _modules(width: int) -> Iterator[tuple[str, nn.Module]]:
    for name, filters in _MODULES.items():
        if filters is None:
            yield name, _pool()
        else:
            yield name, naive_module(width, filters)
            width += sum(filters)


def _pool() -> nn.Module:
    return nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
