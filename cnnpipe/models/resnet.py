"""ResNet by torchvision, for pictures of one or three channels."""

from torch import nn
from torchvision.models import get_model  # type: ignore[import-untyped]  # no stubs

from cnnpipe.models.initialisation import start_xavier, with_channels
from cnnpipe.models.shape import NetworkShape


def resnet(name: str, shape: NetworkShape) -> nn.Module:
    """Return ResNet with random weights; ResNet-18 has 11,176,512 parameters below the head for RGB.

    Args:
        name: of torchvision: resnet18, 34, 50, 101 or 152. From 50 on the stride is in the 3x3 of a block,
            not in its first 1x1 as in the paper.
        shape: sizes at its two ends.

    Source: He et al. 2016, Deep Residual Learning for Image Recognition, table 1; torchvision's code.
    """
    network = get_model(name, weights=None)
    network.conv1 = with_channels(network.conv1, shape.channels)
    head = nn.Linear(network.fc.in_features, shape.num_classes)
    start_xavier(head)
    network.fc = nn.Sequential(nn.Dropout(shape.dropout), head)
    made: nn.Module = network
    return made
