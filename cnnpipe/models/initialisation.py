"""How weights start: He before a ReLU, Xavier before a softmax, biases at zero."""

from torch import Tensor, nn


def start_he(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw weights from N(0, 2 / fan_in), which keeps the variance through a ReLU; zero the bias.

    Source: He et al. 2015, Delving Deep into Rectifiers, equation 10.
    """
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    _zero_bias(layer)


def start_xavier(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw weights from U(-a, a) with a = sqrt(6 / (fan_in + fan_out)); zero the bias.

    Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural
    networks, equation 16.
    """
    nn.init.xavier_uniform_(layer.weight)
    _zero_bias(layer)


def for_channels(filters: Tensor, channels: int) -> Tensor:
    """Return the first filters of a network, O x C x H x W, for pictures of so many channels.

    For grey pictures the filters of the three colours are summed, which is to show the same grey in all of
    them; in every other case they are returned as they are.
    """
    return filters.sum(dim=1, keepdim=True) if channels == 1 else filters


def _zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
