"""VGG by torchvision, for pictures of any side from 32 px."""

from typing import Final

import torch
from torch import nn
from torchvision.models import get_model  # type: ignore[import-untyped]  # no stubs

from cnnpipe.models.materialising import materialised
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.sizes import side_through
from cnnpipe.params.windows import Window

_HALVINGS: Final = 5 * (Window(kernel=2, stride=2),)  # the convolutions keep the side


def vgg(name: str, shape: NetworkShape) -> nn.Module:
    """Return VGG with 11, 13, 16 or 19 layers: 132,863,336 parameters for 11 at 224 px with 1000 classes.

    The first full connection spans the maps as they are: 7x7 at 224 px as in the paper, 2x2 at 64 px, where
    torchvision would repeat them to 7x7.

    Args:
        name: of torchvision: vgg11, vgg11_bn, …
        shape: sizes at its two ends.

    Source: Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition,
    table 1, columns A, B, D and E; torchvision.
    """
    side = side_through(shape.side_px, _HALVINGS, network=name)
    with torch.device("meta"):
        network = get_model(name, weights=None, num_classes=shape.num_classes, dropout=shape.dropout)
        network.features[0] = nn.Conv2d(shape.channels, 64, kernel_size=3, padding=1)
        network.avgpool = nn.Identity()
        network.classifier[0] = nn.Linear(512 * side**2, 4096)
    return materialised(network)
