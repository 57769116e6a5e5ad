"""How weights start: He before a ReLU, Xavier before a softmax, biases at zero."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from cnnpipe.params.network_options import Start

# He: variance 2 / fan_in, which a ReLU halves. Xavier: 2 / (fan_in + fan_out). A uniform draw in ±a has a²/3.
# Sources: He et al. 2015, Delving Deep into Rectifiers, equation 10; Glorot and Bengio 2010, Understanding
# the difficulty of training deep feedforward neural networks, equations 12 and 16.
STARTS: Final[Mapping[Start, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {
        "he_normal": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
        "he_uniform": partial(nn.init.kaiming_uniform_, mode="fan_in", nonlinearity="relu"),
        "xavier_normal": nn.init.xavier_normal_,
        "xavier_uniform": nn.init.xavier_uniform_,
    }
)


def start_layers(network: nn.Module, start: Start) -> None:
    """Draw the weights of all convolutions and full connections of `network` anew; zero their biases."""
    for layer in weighted_layers(network):
        _start(layer, start)


def start_he_then_xavier(network: nn.Module) -> None:
    """Draw all weights by He, those of the last layer by Xavier; zero the biases."""
    *hidden, last = weighted_layers(network)
    for layer in hidden:
        _start(layer, "he_normal")
    _start(last, "xavier_uniform")


def start_he(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw weights from N(0, 2 / fan_in), which keeps the variance through a ReLU; zero the bias."""
    _start(layer, "he_normal")


def start_xavier(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw weights from U(-a, a) with a = sqrt(6 / (fan_in + fan_out)); zero the bias."""
    _start(layer, "xavier_uniform")


def weighted_layers(network: nn.Module) -> list[_ConvNd | nn.Linear]:
    """Return the convolutions and full connections, in the order they were made."""
    return [layer for layer in network.modules() if isinstance(layer, _ConvNd | nn.Linear)]


def for_channels(filters: Tensor, channels: int) -> Tensor:
    """Return the first filters of a network, O x C x H x W, for pictures of so many channels.

    For grey pictures the filters of the three colours are summed, which is to show the same grey in all of
    them; in every other case they are returned as they are.
    """
    return filters.sum(dim=1, keepdim=True) if channels == 1 else filters


def with_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return the first convolution of a network for pictures of so many channels: itself, or a new one.

    A new one starts as torchvision starts convolutions: He, by what goes out of it.
    """
    if layer.in_channels == channels:
        return layer
    made = type(layer)(
        channels,
        layer.out_channels,
        kernel_size=layer.kernel_size,  # type: ignore[arg-type]  # a pair, as the layer keeps it
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    _zero_bias(made)
    return made


def _start(layer: _ConvNd | nn.Linear, start: Start) -> None:
    weight = layer.weight
    STARTS[start](weight.transpose(0, 1) if isinstance(layer, _ConvTransposeNd) else weight)
    _zero_bias(layer)


def _zero_bias(layer: _ConvNd | nn.Linear) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
