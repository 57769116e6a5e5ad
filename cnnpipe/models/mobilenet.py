"""MobileNet v2 and v3 by torchvision."""

from typing import Final

from torch import nn
from torchvision.models import get_model  # type: ignore[import-untyped]  # no stubs

from cnnpipe.models.initialisation import start_xavier, with_channels
from cnnpipe.models.shape import NetworkShape

# torchvision gives v3 0.01, which fits trainings of several hundred epochs: in a short one the statistics of
# evaluation would still be those of the start.
_BATCH_NORM_MOMENTUM: Final = 0.1


def mobilenet(name: str, shape: NetworkShape) -> nn.Module:
    """Return a MobileNet with random weights and batch norm that keeps pace with short trainings.

    Args:
        name: of torchvision: mobilenet_v2, mobilenet_v3_small or mobilenet_v3_large.
        shape: sizes at its two ends.

    Sources: Sandler et al. 2018, MobileNetV2, table 2; Howard et al. 2019, Searching for MobileNetV3, tables
    1 and 2; torchvision's code.
    """
    network: nn.Module = get_model(name, weights=None, num_classes=shape.num_classes, dropout=shape.dropout)
    first = network.get_submodule("features.0")
    first[0] = with_channels(first[0], shape.channels)  # type: ignore[index,operator]  # nn.Sequential
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = _BATCH_NORM_MOMENTUM
    *_, head = (module for module in network.modules() if isinstance(module, nn.Linear))
    start_xavier(head)
    return network
