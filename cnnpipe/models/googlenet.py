"""GoogLeNet and Inception v3 by torchvision, with their auxiliary classifiers, for pictures of any side.

Legend: B batch, C channels, H W pixels, K classes.
"""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.googlenet import GoogLeNet  # type: ignore[import-untyped]  # no stubs
from torchvision.models.inception import (  # type: ignore[import-untyped]
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

from cnnpipe.models.initialisation import start_xavier, with_channels
from cnnpipe.models.outputs import WithAuxiliaries
from cnnpipe.models.shape import NetworkShape

_AUXILIARY_SIDE: Final = 17  # px of the maps that Inception v3's auxiliary classifier sees at 299 px
_AUXILIARY_POOLED: Final = 5  # px that it pools them to


def googlenet(shape: NetworkShape) -> nn.Module:
    """Return GoogLeNet with random weights: 13,004,888 parameters, auxiliary ones included.

    As torchvision has it: with batch norm, and with 3x3 filters where the paper has 5x5. The auxiliary
    classifiers pool to 4x4 from whatever side is there, and drop 70 % of their features as in the paper.

    Source: Szegedy et al. 2015, Going Deeper with Convolutions, table 1 and section 5; torchvision.
    """
    network = _GoogLeNet(
        num_classes=shape.num_classes,
        aux_logits=shape.options.auxiliary_weight != 0,
        init_weights=True,
        dropout=shape.dropout,
    )
    network.conv1.conv = with_channels(network.conv1.conv, shape.channels)
    return _with_head(network)


def inception_v3(shape: NetworkShape) -> nn.Module:
    """Return Inception v3 with random weights: 27,161,264 parameters, auxiliary ones included.

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, table 1;
    torchvision.
    """
    modules = (InceptionA, InceptionB, InceptionC, InceptionD, InceptionE)
    network = _InceptionV3(
        num_classes=shape.num_classes,
        aux_logits=shape.options.auxiliary_weight != 0,
        inception_blocks=[BasicConv2d, *modules, _AuxiliaryOfAnySide],
        init_weights=True,
        dropout=shape.dropout,
    )
    first = network.Conv2d_1a_3x3
    first.conv = with_channels(first.conv, shape.channels)
    return _with_head(network)


class _GoogLeNet(GoogLeNet):  # type: ignore[misc]  # no stubs
    """Returns cnnpipe's record of auxiliary classifiers in place of torchvision's."""

    def eager_outputs(self, x: Tensor, aux2: Tensor | None, aux1: Tensor | None) -> Tensor | WithAuxiliaries:
        """Return logits, with those of auxiliary classifiers where there are any; torchvision calls it."""
        return _outputs(x, aux1, aux2)


class _InceptionV3(Inception3):  # type: ignore[misc]  # no stubs
    """Returns cnnpipe's record of auxiliary classifiers in place of torchvision's."""

    def eager_outputs(self, x: Tensor, aux: Tensor | None) -> Tensor | WithAuxiliaries:
        """Return logits, with those of the auxiliary classifier where there is one; torchvision calls it."""
        return _outputs(x, aux)


class _AuxiliaryOfAnySide(InceptionAux):  # type: ignore[misc]  # no stubs
    """Pools maps below 17 px to the 5x5 that its convolution needs; others as torchvision does."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, B x K, of maps B x 768 x H x W."""
        if min(x.shape[-2:]) >= _AUXILIARY_SIDE:
            logits: Tensor = super().forward(x)
        else:
            pooled = functional.adaptive_avg_pool2d(x, _AUXILIARY_POOLED)
            logits = self.fc(self.conv1(self.conv0(pooled)).flatten(1))
        return logits


def _outputs(logits: Tensor, *auxiliaries: Tensor | None) -> Tensor | WithAuxiliaries:
    given = tuple(each for each in auxiliaries if each is not None)
    return WithAuxiliaries(logits, given) if given else logits


def _with_head(network: GoogLeNet | Inception3) -> nn.Module:
    start_xavier(network.fc)
    made: nn.Module = network
    return made
