"""Networks without a convolution: one layer, and several, to show what convolution is for.

Legend: B batch, C channels, S side of the square, K classes.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from cnnpipe.models.initialisation import start_he_then_xavier
from cnnpipe.models.shape import NetworkShape

# Source: LeCun et al. 1998, Gradient-based learning applied to document recognition, section III.C.4, the
# network 28x28-300-100-10.
MLP_HIDDEN = (300, 100)


def perceptron(shape: NetworkShape) -> nn.Module:
    """Return one full connection from the pixels to the classes: (C·S² + 1)·K parameters.

    Source: Rosenblatt 1958, The perceptron; learned by gradient and softmax instead of his rule.
    """
    return _connected(shape, ())


def mlp(shape: NetworkShape) -> nn.Module:
    """Return full connections with ReLU between them; option `hidden` says their units."""
    return _connected(shape, shape.options.hidden or MLP_HIDDEN)


def _connected(shape: NetworkShape, hidden: Sequence[int]) -> nn.Module:
    widths = (shape.channels * shape.side_px**2, *hidden)
    layers: list[nn.Module] = [nn.Flatten()]
    for width, next_width in pairwise(widths):
        layers += [nn.Linear(width, next_width), nn.ReLU(), nn.Dropout(shape.dropout)]
    network = nn.Sequential(*layers, nn.Linear(widths[-1], shape.num_classes))
    start_he_then_xavier(network)
    return network
