"""Feature pyramids: maps of one width at several strides, from which detectors read.

Legend: B batch, C channels, S side of the square.
"""

from collections import OrderedDict
from typing import Final

from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import (  # type: ignore[import-untyped]  # no stubs
    ExtraFPNBlock,
    FeaturePyramidNetwork,
)

from cnnpipe.models.lite0 import LITE0_WIDTHS, lite0_features

PYRAMID_CHANNELS: Final = 96


class Lite0Pyramid(nn.Module):
    """EfficientNet-Lite0's maps at strides 8, 16 and 32 under a feature pyramid of 96 channels.

    The parts have torchvision's names, so that `backbone.body` is the feature extractor of every detector.

    Source: Lin et al. 2017, Feature Pyramid Networks for Object Detection, section 3; torchvision,
    `BackboneWithFPN`.
    """

    out_channels: Final = PYRAMID_CHANNELS  # torchvision's heads ask for it

    def __init__(self, channels: int, above: ExtraFPNBlock) -> None:
        super().__init__()
        self.body = lite0_features(channels)
        self.fpn = FeaturePyramidNetwork(list(LITE0_WIDTHS), PYRAMID_CHANNELS, extra_blocks=above)

    def forward(self, pictures_BCSS: Tensor) -> dict[str, Tensor]:
        """Return the maps by name, finest first: "0" at stride 8, "1", "2", then those of `above`."""
        maps = self.body(pictures_BCSS)
        pyramid: dict[str, Tensor] = self.fpn(OrderedDict((str(i), each) for i, each in enumerate(maps)))
        return pyramid
