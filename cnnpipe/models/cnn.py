"""A network written in params.yaml as a list of layers, in 1-D or 2-D.

Legend: B batch, C features, H W places.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from torch import Tensor, nn
from torch.nn import functional

from cnnpipe.errors import ParamsError
from cnnpipe.models.activations import ACTIVATIONS
from cnnpipe.models.initialisation import start_he_then_xavier
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.layer_sizes import Maps, filter_windows, layer_sizes, read_as
from cnnpipe.params.layers import LayerParams, PoolParams, SqueezeExciteParams, TransposedParams

# of 1-D and of 2-D
_Makers = Sequence[Callable[..., nn.Module]]
_CONVOLUTIONS: Final[_Makers] = (nn.Conv1d, nn.Conv2d)
_TRANSPOSED: Final[_Makers] = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_BATCH_NORMS: Final[_Makers] = (nn.BatchNorm1d, nn.BatchNorm2d)
_POOLS: Final[Mapping[str, _Makers]] = MappingProxyType(
    {
        "max": (nn.MaxPool1d, nn.MaxPool2d),
        "avg": (nn.AvgPool1d, nn.AvgPool2d),
        "global_max": (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
        "global_avg": (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
    }
)
_MODES: Final[Mapping[str, str]] = MappingProxyType(
    {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}
)


class ListedNetwork(nn.Module):
    """The layers of `options.layers` by their numbers, from 1; then dropout and the output.

    Convolutions and full connections start with He's weights, the output with Xavier's.
    """

    def __init__(self, layers: nn.Sequential, output: nn.Linear, *, dropout: float, axes: int) -> None:
        super().__init__()
        self.layers = layers
        self.dropout = nn.Dropout(dropout)
        self.output = output
        self.axes = axes

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Return logits, B x num_classes, of normalised pictures."""
        maps = pictures_BCHW if self.axes == 2 else pictures_BCHW.flatten(1, 2)
        logits: Tensor = self.output(self.dropout(self.layers(maps)))
        return logits


class SqueezeExcite(nn.Module):
    """Weigh each feature by a number in (0, 1) that two full connections make of the means of all features.

    Source: Hu et al. 2018, Squeeze-and-excitation networks, section 3 and figure 3.
    """

    def __init__(self, features: int, *, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(features, features // reduction)
        self.excite = nn.Linear(features // reduction, features)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps, B x C x places, as they came but weighed."""
        means_BC = maps.flatten(2).mean(dim=2)
        weights_BC = self.excite(self.squeeze(means_BC).relu()).sigmoid()
        weights: Tensor = weights_BC.reshape(*weights_BC.shape, *[1] * (maps.ndim - 2))
        return maps * weights


class Padding(nn.Module):
    """Cells added around maps; for what a convolution cannot add by itself."""

    def __init__(self, added: Sequence[int], mode: str) -> None:
        super().__init__()
        self.added = list(added)  # the last axis first, before and after, as torch has it
        self.mode = mode

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps, B x C x places, with the cells around."""
        return functional.pad(maps, self.added, mode=_MODES[self.mode])


def cnn(shape: NetworkShape) -> nn.Module:
    """Return the network that the options describe.

    Raises:
        ParamsError: it has no layers, or one of them does not fit on its input.
    """
    options = shape.options
    if options.layers is None:
        raise ParamsError("network cnn", "it has no layers", "list them below options.layers")
    axes = options.axes or 2
    picture = read_as(channels=shape.channels, side_px=shape.side_px, axes=axes)
    sizes = layer_sizes(options.layers, picture)
    layers = nn.Sequential()
    for number, (layer, maps) in enumerate(zip(options.layers, [picture, *sizes], strict=False), start=1):
        layers.add_module(str(number), _make(layer, maps))
    output = nn.Linear(sizes[-1].features, shape.num_classes)
    network = ListedNetwork(layers, output, dropout=shape.dropout, axes=axes)
    start_he_then_xavier(network)
    return network


def _make(layer: LayerParams, maps: Maps) -> nn.Module:
    return _MAKERS[layer.kind](getattr(layer, layer.kind), maps)


def _conv(params: Any, maps: Maps) -> nn.Module:
    return _padded(params, maps, params.out, getattr(params, "groups", 1))


def _depthwise_separable(params: Any, maps: Maps) -> nn.Module:
    depthwise = _padded(params, maps, maps.features, maps.features)
    pointwise = _CONVOLUTIONS[len(maps.places) - 1](maps.features, params.out, 1, bias=params.bias)
    return nn.Sequential(depthwise, pointwise)


def _padded(params: Any, maps: Maps, out: int, groups: int) -> nn.Module:
    """Return a convolution that pads by itself where both sides get alike, else behind a padding layer."""
    windows = filter_windows(params, maps.places)
    is_even = all(window.before == window.after for window in windows)
    mode = params.padding_mode if is_even else "zeros"
    convolution = _CONVOLUTIONS[len(windows) - 1](
        maps.features,
        out,
        tuple(window.kernel for window in windows),
        stride=tuple(window.stride for window in windows),
        padding=tuple(window.before if is_even else 0 for window in windows),
        dilation=tuple(window.dilation for window in windows),
        groups=groups,
        bias=params.bias,
        padding_mode=mode,
    )
    if is_even:
        return convolution
    added = [cells for window in reversed(windows) for cells in (window.before, window.after)]
    return nn.Sequential(Padding(added, params.padding_mode), convolution)


def _transposed(params: TransposedParams, maps: Maps) -> nn.Module:
    settings = params.model_dump(exclude={"out", "kernel"})
    return _TRANSPOSED[len(maps.places) - 1](maps.features, params.out, params.kernel, **settings)


def _pool(params: PoolParams, maps: Maps) -> nn.Module:
    make = _POOLS[params.kind][len(maps.places) - 1]
    if params.kernel is None:
        return make(1)
    return make(params.kernel, stride=params.stride, padding=params.padding, ceil_mode=params.ceil)


def _squeeze_excite(params: SqueezeExciteParams, maps: Maps) -> nn.Module:
    return SqueezeExcite(maps.features, reduction=params.reduction)


_MAKERS: Final[Mapping[str, Callable[[Any, Maps], nn.Module]]] = MappingProxyType(
    {
        "conv": _conv,
        "depthwise_separable": _depthwise_separable,
        "transposed": _transposed,
        "pool": _pool,
        "activation": lambda name, _maps: ACTIVATIONS[name](),
        "batch_norm": lambda _params, maps: _BATCH_NORMS[max(len(maps.places), 1) - 1](maps.features),
        "dropout": lambda fraction, _maps: nn.Dropout(fraction),
        "squeeze_excite": _squeeze_excite,
        "flatten": lambda _params, _maps: nn.Flatten(),
        "fc": lambda params, maps: nn.Linear(maps.features, params.out, bias=params.bias),
    }
)
