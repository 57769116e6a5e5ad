"""AlexNet as in the paper and as torchvision has it, and its successor ZFNet.

In all three the first full connection spans what the maps really are at the side of the input, which is the
paper's at 224 px.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import nn
from torchvision.models import (  # type: ignore[import-untyped]  # no stubs
    alexnet as torchvision_alexnet,
)

from cnnpipe.models.materialising import materialised
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.sizes import side_through
from cnnpipe.params.windows import Window

_FULL_WIDTH: Final = 4096
_POOL: Final = Window(kernel=3, stride=2)
_FIRST: Final = Window(kernel=11, stride=4, before=2, after=2)
_ALEXNET: Final = (_FIRST, _POOL, _POOL, _POOL)  # the other convolutions keep the side
_ZF_POOL: Final = Window(kernel=3, stride=2, before=1, after=1)
_ZFNET: Final = (
    Window(kernel=7, stride=2, before=1, after=1),
    _ZF_POOL,
    Window(kernel=5, stride=2),
    _ZF_POOL,
    _POOL,
)
# maps of convolutions 3 to 5
_ZF_WIDTHS: Final = {"paper": (512, 1024, 512), "course": (512, 512, 1024)}


def alexnet(shape: NetworkShape) -> nn.Module:
    """Return the one-tower AlexNet of torchvision: 61,100,840 parameters at 224 px with 1000 classes.

    Sources: Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks; torchvision.
    """
    side = side_through(shape.side_px, _ALEXNET, network="alexnet")
    with torch.device("meta"):
        network = torchvision_alexnet(weights=None, num_classes=shape.num_classes, dropout=shape.dropout)
        network.features[0] = nn.Conv2d(shape.channels, 64, kernel_size=11, stride=4, padding=2)
        network.avgpool = nn.Identity()
        network.classifier[1] = nn.Linear(256 * side**2, _FULL_WIDTH)
    return materialised(network)


def alexnet2012(shape: NetworkShape) -> nn.Module:
    """Return AlexNet with its two towers as groups of channels: 60,965,224 parameters as in the paper.

    The towers meet in the third convolution and the full connections. 2 px around the picture give the 55 px
    maps that the paper counts with.

    Source: Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep Convolutional Neural
    Networks, section 3.
    """
    side = side_through(shape.side_px, _ALEXNET, network="alexnet2012")
    features = nn.Sequential(
        *_rectified(nn.Conv2d(shape.channels, 96, kernel_size=11, stride=4, padding=2)),
        local_response_norm(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        *_rectified(nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2)),
        local_response_norm(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        *_rectified(nn.Conv2d(256, 384, kernel_size=3, padding=1)),
        *_rectified(nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2)),
        *_rectified(nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2)),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )
    return _with_classifier(features, 256 * side**2, shape)


def zfnet(shape: NetworkShape) -> nn.Module:
    """Return ZFNet, whose first filters are smaller and denser than AlexNet's, in one tower.

    Option `widths` says the maps of convolutions 3 to 5: paper, 512, 1024 and 512; course, 512, 512 and 1024.

    Source: Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, figure 3; table 2
    for the widths.
    """
    side = side_through(shape.side_px, _ZFNET, network="zfnet")
    third, fourth, fifth = _ZF_WIDTHS[shape.options.widths or "paper"]
    features = nn.Sequential(
        *_rectified(nn.Conv2d(shape.channels, 96, kernel_size=7, stride=2, padding=1)),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        local_response_norm(),
        *_rectified(nn.Conv2d(96, 256, kernel_size=5, stride=2)),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        local_response_norm(),
        *_rectified(nn.Conv2d(256, third, kernel_size=3, padding=1)),
        *_rectified(nn.Conv2d(third, fourth, kernel_size=3, padding=1)),
        *_rectified(nn.Conv2d(fourth, fifth, kernel_size=3, padding=1)),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )
    return _with_classifier(features, fifth * side**2, shape)


def local_response_norm() -> nn.LocalResponseNorm:
    """Return b = a / (2 + 1e-4 Σ a²)^0.75, the sum over five neighbouring maps.

    Torch divides its alpha by the number of maps, the paper does not.

    Source: Krizhevsky et al. 2012, section 3.3.
    """
    return nn.LocalResponseNorm(size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def _rectified(layer: nn.Module) -> Sequence[nn.Module]:
    return layer, nn.ReLU(inplace=True)


def _with_classifier(features: nn.Sequential, width: int, shape: NetworkShape) -> nn.Module:
    network = nn.Sequential()
    network.add_module("features", features)
    network.add_module("flatten", nn.Flatten())
    with torch.device("meta"):
        classifier = nn.Sequential(
            nn.Dropout(shape.dropout),
            *_rectified(nn.Linear(width, _FULL_WIDTH)),
            nn.Dropout(shape.dropout),
            *_rectified(nn.Linear(_FULL_WIDTH, _FULL_WIDTH)),
            nn.Linear(_FULL_WIDTH, shape.num_classes),
        )
    network.add_module("classifier", classifier)
    return materialised(network)
