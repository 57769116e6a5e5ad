"""The calls of torch that a network makes, with their arguments by name."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from torch import Tensor

from cnnpipe.params.windows import Window, same_padding

_POOL: Final = ("input", "kernel_size", "stride", "padding")
_CONV: Final = ("input", "weight", "bias", "stride", "padding")
_REDUCE: Final = ("input", "dim", "keepdim")

# Those whose arguments are looked at; numbers at the end of a name (conv1d, conv2d) are left out.
_ARGUMENTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "conv": (*_CONV, "dilation", "groups"),
        "conv_transpose": (*_CONV, "output_padding", "groups", "dilation"),
        "max_pool": (*_POOL, "dilation", "ceil_mode"),
        "avg_pool": (*_POOL, "ceil_mode"),
        "adaptive_avg_pool": ("input", "output_size"),
        "adaptive_max_pool": ("input", "output_size"),
        "linear": ("input", "weight", "bias"),
        "flatten": ("input", "start_dim", "end_dim"),
        "pad": ("input", "pad", "mode", "value"),
        "cat": ("input", "dim"),
        "layer_norm": ("input", "normalized_shape"),
        "softmax": ("input", "dim"),
        "mean": _REDUCE,
        "sum": _REDUCE,
        "amax": _REDUCE,
    }
)


class Call(NamedTuple):
    """One call of a function of torch, or of a tensor's method."""

    name: str  # conv of conv2d, relu of relu_
    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any

    def argument(self, name: str, default: Any = None) -> Any:
        """Return an argument, whether it was given by place or by name."""
        names = _ARGUMENTS.get(self.name, ("input",))
        by_name = dict(zip(names, self.args, strict=False)) | dict(self.kwargs)
        value = by_name.get(name)
        return default if value is None else value

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments, also within lists."""
        return list(tensors_in((self.args, list(self.kwargs.values()))))

    @property
    def outputs(self) -> list[Tensor]:
        """All tensors it returned."""
        return list(tensors_in(self.output))


def plain_name(function: Any) -> str:
    """Return a function's name without the number of axes and the mark of working in place: conv, relu."""
    name = str(getattr(function, "__name__", ""))
    return name if name.startswith("__") else name.rstrip("_").removesuffix("1d").removesuffix("2d")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Return the tensors in nested lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)


def along_axes(value: Any, num_axes: int) -> tuple[Any, ...]:
    """Return a setting of each axis: torch takes one for all, too."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values if len(values) == num_axes else values * num_axes


def windows_of(call: Call) -> list[Window]:
    """Return the window along each axis of a convolution, transposed or not, or of a pooling."""
    places = call.argument("input").shape[2:]
    num_axes = len(places)
    weight = call.argument("weight")
    kernels = along_axes(
        call.argument("kernel_size") if weight is None else tuple(weight.shape[2:]), num_axes
    )
    strides = along_axes(call.argument("stride") or (kernels if weight is None else 1), num_axes)
    dilations = along_axes(call.argument("dilation", 1), num_axes)
    windows = [
        Window(*extents[:2], dilation=extents[2]) for extents in zip(kernels, strides, dilations, strict=True)
    ]
    padding = call.argument("padding", 0)
    if padding == "same":
        return [same_padding(size, window) for size, window in zip(places, windows, strict=True)]
    added = along_axes(0 if padding == "valid" else padding, num_axes)
    return [w._replace(before=cells, after=cells) for w, cells in zip(windows, added, strict=True)]
