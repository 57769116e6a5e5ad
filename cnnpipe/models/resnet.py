"""ResNet-18 by torchvision, for pictures of one or three channels."""

from torch import nn
from torchvision.models import (  # type: ignore[import-untyped]  # no stubs
    resnet18 as torchvision_resnet18,
)

from cnnpipe.models.initialisation import start_xavier
from cnnpipe.models.shape import NetworkShape


def resnet18(shape: NetworkShape) -> nn.Module:
    """Return ResNet-18 with random weights: 11,176,512 parameters below the head for RGB.

    Source: He et al. 2016, Deep Residual Learning for Image Recognition, table 1; torchvision's code.
    """
    network = torchvision_resnet18(weights=None)
    if shape.channels != 3:
        network.conv1 = nn.Conv2d(shape.channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        # as torchvision starts its convolutions
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    head = nn.Linear(network.fc.in_features, shape.num_classes)
    start_xavier(head)
    network.fc = nn.Sequential(nn.Dropout(shape.dropout), head)
    made: nn.Module = network
    return made
