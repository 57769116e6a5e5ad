"""Inception modules of cnnpipe's own networks: branches side by side, joined along the channels.

Legend: B batch, C channels, H W pixels.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Branches(nn.Module):
    """Runs branches on one input and joins what they give; all must leave maps of one side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return the branches' maps, one after the other along the channels."""
        return torch.cat([branch(maps_BCHW) for branch in self.branches], dim=1)


def normed(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps the side but for its stride, batch norm and ReLU."""
    convolution = nn.Conv2d(
        *(in_channels, out_channels, kernel, stride),
        padding=kernel // 2,
        bias=False,  # batch norm has one
    )
    return [convolution, nn.BatchNorm2d(out_channels, eps=0.001), nn.ReLU(inplace=True)]


def ending(features: Iterable[tuple[str, nn.Module]], head: nn.Linear, *, dropout: float) -> nn.Sequential:
    """Return a network: named parts, the mean over each map, dropout, and the full connection `fc`."""
    network = nn.Sequential()
    for name, part in features:
        network.add_module(name, part)
    network.add_module("pooled", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("dropout", nn.Dropout(dropout))
    network.add_module("fc", head)
    return network
