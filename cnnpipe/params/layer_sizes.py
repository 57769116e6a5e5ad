"""The sizes of what each layer of a written network leaves, worked out before anything runs.

Maps are C features at some places: H x W in 2-D; in 1-D a picture is a series of its columns, C·H features at
W places. Flat features have no places.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from cnnpipe.errors import ParamsError
from cnnpipe.params.layers import LayerParams, Pair, PoolParams, SqueezeExciteParams, TransposedParams
from cnnpipe.params.windows import Window, num_places, num_transposed_places, same_padding

_SMALLER: Final = "take a smaller kernel, padding: same, fewer poolings, or raise input.side_px"


class Maps(NamedTuple):
    """What goes from one layer to the next, of one picture."""

    features: int
    places: tuple[int, ...]  # H, W; in 1-D W; flat features have none

    def __str__(self) -> str:
        return " x ".join(map(str, (self.features, *self.places)))


class _MisfitError(ValueError):
    """A layer cannot take its input: the arithmetic, and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def read_as(*, channels: int, side_px: int, axes: int) -> Maps:
    """Return what the first layer sees of a picture, by the number of axes that windows move along."""
    return Maps(channels, (side_px, side_px)) if axes == 2 else Maps(channels * side_px, (side_px,))


def layer_sizes(layers: Sequence[LayerParams], picture: Maps) -> list[Maps]:
    """Return what each layer leaves, in order.

    Args:
        layers: without the output layer.
        picture: of `read_as`.

    Raises:
        ParamsError: a layer does not fit on its input; its number, input and arithmetic are told.
    """
    sizes = [picture]
    for number, layer in enumerate(layers, start=1):
        try:
            sizes.append(_RULES[layer.kind](getattr(layer, layer.kind), sizes[-1]))
        except _MisfitError as error:
            where = f"options.layers.{number - 1}, layer {number} ({layer.kind})"
            raise ParamsError(where, f"input {sizes[-1]}, {error.what}", error.fix) from error
    if sizes[-1].places:
        what = f"they end in maps of {sizes[-1]}, and the output layer reads flat features"
        raise ParamsError("options.layers", what, "end them with flatten")
    return sizes[1:]


def filter_windows(params: Any, places: Sequence[int]) -> list[Window]:
    """Return the window of a convolution along each axis, its padding in cells.

    Args:
        params: ConvParams or DepthwiseSeparableParams.
        places: of its input.
    """
    windows = []
    for axis, size in enumerate(places):
        kernel, stride, dilation = (_along(axis, value, len(places)) for value in _extents(params))
        window = Window(kernel, stride, dilation=dilation)
        if params.padding == "same":
            window = same_padding(size, window)
        elif params.padding != "valid":
            added = _along(axis, params.padding, len(places))
            window = window._replace(before=added, after=added)
        windows.append(window)
    return windows


def _conv(params: Any, maps: Maps) -> Maps:
    _check_has_places(maps)
    groups = getattr(params, "groups", 1)
    _check_groups(groups, maps.features, params.out)
    windows = filter_windows(params, maps.places)
    for size, window in zip(maps.places, windows, strict=True):
        _check_border(size, window, params.padding_mode)
    return Maps(params.out, tuple(map(_fitted, maps.places, windows)))


def _transposed(params: TransposedParams, maps: Maps) -> Maps:
    _check_has_places(maps)
    _check_groups(params.groups, maps.features, params.out)
    return Maps(
        params.out,
        tuple(
            _fitted_transposed(params, axis, size, len(maps.places)) for axis, size in enumerate(maps.places)
        ),
    )


def _pool(params: PoolParams, maps: Maps) -> Maps:
    _check_has_places(maps)
    if params.kernel is None:
        return maps._replace(places=(1,) * len(maps.places))
    values = (params.kernel, params.stride or params.kernel, params.padding)
    places = []
    for axis, size in enumerate(maps.places):
        kernel, stride, added = (_along(axis, value, len(maps.places)) for value in values)
        if 2 * added > kernel:
            raise _MisfitError(f"kernel {kernel}, padding {added}: more than half of the kernel", "pad less")
        places.append(_fitted(size, Window(kernel, stride, added, added), ceil=params.ceil))
    return maps._replace(places=tuple(places))


def _as_it_came(_params: Any, maps: Maps) -> Maps:
    return maps


def _squeeze_excite(params: SqueezeExciteParams, maps: Maps) -> Maps:
    _check_has_places(maps)
    if params.reduction > maps.features:
        what = f"reduction {params.reduction}: {maps.features}/{params.reduction} leaves no feature"
        raise _MisfitError(what, "take a smaller reduction")
    return maps


def _flatten(_params: Any, maps: Maps) -> Maps:
    flat = maps.features
    for size in maps.places:
        flat *= size
    return Maps(flat, ())


def _fc(params: Any, maps: Maps) -> Maps:
    if maps.places:
        raise _MisfitError("a full connection reads flat features", "put flatten before it")
    return Maps(params.out, ())


_RULES: Final[Mapping[str, Callable[[Any, Maps], Maps]]] = MappingProxyType(
    {
        "conv": _conv,
        "depthwise_separable": _conv,
        "transposed": _transposed,
        "pool": _pool,
        "activation": _as_it_came,
        "batch_norm": _as_it_came,
        "dropout": _as_it_came,
        "squeeze_excite": _squeeze_excite,
        "flatten": _flatten,
        "fc": _fc,
    }
)


def _extents(params: Any) -> tuple[int | Pair, int | Pair, int | Pair]:
    return params.kernel, params.stride, params.dilation


def _along(axis: int, value: int | Pair, num_axes: int) -> int:
    if isinstance(value, int):
        return value
    if num_axes == 1:
        raise _MisfitError(f"the pair {list(value)}: there is one axis with axes: 1", "write one number")
    return value[axis]


def _fitted(size: int, window: Window, *, ceil: bool = False) -> int:
    places = num_places(size, window, ceil=ceil)
    if places >= 1:
        return places
    padding = window.before if window.before == window.after else f"{window.before} + {window.after}"
    dilated = f" of reach {window.reach}" if window.dilation > 1 else ""
    sum_ = f"floor(({size} − {window.reach} + {window.before + window.after})/{window.stride}) + 1"
    raise _MisfitError(
        f"kernel {window.kernel}{dilated}, padding {padding}: {sum_} = {_signed(places)}",
        _SMALLER,
    )


def _fitted_transposed(params: TransposedParams, axis: int, size: int, num_axes: int) -> int:
    values = (*_extents(params), params.padding, params.output_padding)
    kernel, stride, dilation, taken, added = (_along(axis, value, num_axes) for value in values)
    if added >= max(stride, dilation):
        what = f"output_padding {added}: it is to be below the stride {stride} or the dilation {dilation}"
        raise _MisfitError(what, "take a smaller output_padding")
    places = num_transposed_places(size, Window(kernel, stride, taken, taken, dilation), output_padding=added)
    if places < 1:
        sum_ = f"({size} − 1)·{stride} − {2 * taken} + {dilation}·({kernel} − 1) + {added} + 1"
        what = f"kernel {kernel}, padding {taken}: {sum_} = {_signed(places)}"
        raise _MisfitError(what, "take a smaller padding, which is what is cut off")
    return places


def _signed(number: int) -> str:
    return str(number).replace("-", "−")


def _check_has_places(maps: Maps) -> None:
    if not maps.places:
        raise _MisfitError("flat features have no places to look at", "put it before flatten")


def _check_groups(groups: int, features: int, out: int) -> None:
    for number in (features, out):
        if number % groups:
            what = f"groups {groups}: it does not divide {number} features"
            raise _MisfitError(what, "take a divisor of both")


def _check_border(size: int, window: Window, mode: str) -> None:
    added = max(window.before, window.after)
    if mode == "reflect" and added >= size:
        what = f"padding {added} in mode reflect: {size} cells have {size - 1} to mirror"
        raise _MisfitError(what, "pad less, or take padding_mode: replicate")
