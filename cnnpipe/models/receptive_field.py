"""What each cell of a network's maps sees of the picture, followed through the calls of torch.

A cell u of maps sees the pixels from low + u·jump to high + u·jump of an axis. A window F', S, P makes of
that low - P·jump, high + (F' - 1 - P)·jump and jump·S; where branches meet, the wider reach holds on each
side; what mixes all cells (a full connection, global pooling, attention, squeeze-and-excitation) sees the
whole axis. The field may be larger than the picture: it then holds padding.

Source: Araujo, Norris and Sim 2019, Computing receptive fields of convolutional neural networks; for
branches: its section on arbitrary computation graphs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from cnnpipe.models.calls import Call, along_axes, windows_of
from cnnpipe.params.windows import Window


class Reach(NamedTuple):
    """What cells see of one axis of the picture, in pixels."""

    low: Fraction  # of cell 0
    high: Fraction
    jump: Fraction  # from one cell to the next
    cells: Tensor | None  # the number u of each, of the shape of the maps; None: each sees the whole axis

    @property
    def size_px(self) -> int:
        """The side of the receptive field."""
        return int(self.high - self.low) + 1


Sight = tuple[Reach, Reach]  # along height and width


class Sights:
    """What is seen by each tensor that comes of a picture."""

    def __init__(self, pictures_BCHW: Tensor) -> None:
        self._side = (pictures_BCHW.shape[2], pictures_BCHW.shape[3])
        self._of = WeakTensorKeyDictionary()
        self._of[pictures_BCHW] = tuple(
            Reach(Fraction(0), Fraction(0), Fraction(1), _numbered(pictures_BCHW.shape, axis))
            for axis in (2, 3)
        )

    def of(self, tensor: Tensor) -> Sight | None:
        """Return what the cells of a tensor that comes of the picture see; None where that is not known."""
        sight: Sight | None = self._of[tensor]
        return sight

    def comes_of_picture(self, tensor: Tensor) -> bool:
        """Say whether a tensor was made of the picture, and not of weights alone."""
        return tensor in self._of

    def follow(self, call: Call) -> None:
        """Note what the outputs of a call see."""
        inputs = [tensor for tensor in call.tensors if tensor in self._of]
        if inputs and call.outputs:
            known = [sight for sight in map(self.of, inputs) if sight is not None]
            sights = self._sights(call, known) if len(known) == len(inputs) else [None] * len(call.outputs)
            for output, sight in zip(call.outputs, sights, strict=True):
                self._of[output] = sight

    def _sights(self, call: Call, inputs: list[Sight]) -> list[Sight | None]:
        by_axis = [
            self._reaches(call, axis, [sight[axis] for sight in inputs]) for axis in range(len(self._side))
        ]
        return [
            None if high is None or wide is None else (high, wide)
            for high, wide in zip(*by_axis, strict=True)
        ]

    def _reaches(self, call: Call, axis: int, inputs: list[Reach]) -> list[Reach | None]:
        """Return what each output sees of an axis."""
        whole = Reach(Fraction(0), Fraction(self._side[axis] - 1), Fraction(0), None)
        if any(reach.cells is None for reach in inputs):
            return [whole] * len(call.outputs)
        if call.name in _LAYOUTS:
            return _laid_out(call, inputs[0])
        rule = _RULES.get(call.name, _joined)
        made = rule(call, inputs, axis)
        return [whole if made is _WHOLE else made] * len(call.outputs)


# What does not compute, and only says where cells stand: done with their numbers as with the cells.
_LAYOUTS: Final = frozenset(
    {
        "__getitem__",
        "channel_shuffle",
        "chunk",
        "expand",
        "flatten",
        "flip",
        "movedim",
        "narrow",
        "permute",
        "pixel_shuffle",
        "pixel_unshuffle",
        "repeat",
        "reshape",
        "roll",
        "select",
        "split",
        "squeeze",
        "swapaxes",
        "transpose",
        "unbind",
        "unflatten",
        "unsqueeze",
        "view",
    }
)
_WHOLE: Final = Reach(Fraction(0), Fraction(0), Fraction(0), None)


def _laid_out(call: Call, reach: Reach) -> list[Reach | None]:
    made = call.function(reach.cells, *call.args[1:], **call.kwargs)
    several = made if isinstance(made, list | tuple) else [made]
    return [reach._replace(cells=cells) for cells in several]


def _convolved(call: Call, inputs: list[Reach], axis: int) -> Reach:
    reach, windows = inputs[0], windows_of(call)
    depthwise = call.argument("groups", 1) == call.argument("input").shape[1]
    if 1 in _axes(reach) and not depthwise:
        return _WHOLE
    return _through(call, reach, axis, [_step(window) for window in windows])


def _pooled(call: Call, inputs: list[Reach], axis: int) -> Reach:
    return _through(call, inputs[0], axis, [_step(window) for window in windows_of(call)])


def _transposed(call: Call, inputs: list[Reach], axis: int) -> Reach:
    if 1 in _axes(inputs[0]):
        return _WHOLE
    return _through(call, inputs[0], axis, [_transposed_step(window) for window in windows_of(call)])


def _adapted(call: Call, inputs: list[Reach], axis: int) -> Reach:
    places = call.argument("input").shape[2:]
    outs = [out or size for size, out in zip(places, _wanted(call), strict=True)]
    is_global = {2 + k for k, (size, out) in enumerate(zip(places, outs, strict=True)) if out == 1 < size}
    if is_global & _axes(inputs[0]):
        return _WHOLE
    return _through(
        call, inputs[0], axis, [_adaptive_step(*sizes) for sizes in zip(places, outs, strict=True)]
    )


def _wanted(call: Call) -> tuple[int | None, ...]:
    return along_axes(call.argument("output_size"), call.argument("input").ndim - 2)


class _Step(NamedTuple):
    """A window in cells of its input: output o sees the inputs from o·stride + low to o·stride + high."""

    low: Fraction
    high: Fraction
    stride: Fraction


def _step(window: Window) -> _Step:
    return _Step(
        Fraction(-window.before), Fraction(window.reach - 1 - window.before), Fraction(window.stride)
    )


def _transposed_step(window: Window) -> _Step:
    """Return the widest that any output sees: floor((F' - 1) / S) + 1 inputs."""
    low = Fraction(window.before - window.reach + 1, window.stride)
    return _Step(low, low + (window.reach - 1) // window.stride, Fraction(1, window.stride))


def _adaptive_step(size: int, out: int) -> _Step:
    """Return the widest window of an adaptive pooling. Source: torch.nn.AdaptiveAvgPool2d's start and end."""
    stride = Fraction(size, out)
    starts = [k * size // out - k * stride for k in range(out)]
    ends = [-(-(k + 1) * size // out) - 1 - k * stride for k in range(out)]
    return _Step(min(starts), max(ends), stride)


def _through(call: Call, reach: Reach, axis: int, steps: Sequence[_Step]) -> Reach:
    """Return what windows over the last axes of maps, B x C x places, leave."""
    shape = call.outputs[0].shape
    along = _axes(reach)
    if len(along) > 1:
        return _WHOLE
    place = along.pop() if along else len(shape) - 2 + axis
    if place - len(shape) + len(steps) < 0:  # no window moves along it
        return reach._replace(cells=_first(reach, range(1, len(shape))).expand(shape))
    low, high, stride = steps[place - len(shape) + len(steps)]
    start, jump = _origin(reach, place)
    return Reach(
        reach.low + start + low * jump,
        reach.high + start + high * jump,
        jump * stride,
        _numbered(shape, place),
    )


def _padded(call: Call, inputs: list[Reach], _axis: int) -> Reach:
    reach, shape, pad = inputs[0], call.outputs[0].shape, call.argument("pad")
    along = _axes(reach)
    if len(along) != 1:
        return _WHOLE if along else reach._replace(cells=_first(reach, range(len(shape))).expand(shape))
    place = along.pop()
    start, jump = _origin(reach, place)
    after_it = 2 * (len(shape) - 1 - place)
    shift = start - (pad[after_it] if after_it < len(pad) else 0) * jump
    return Reach(reach.low + shift, reach.high + shift, jump, _numbered(shape, place))


def _mixed_along(dims_of: Callable[[Call], Collection[int]]) -> Callable[[Call, list[Reach], int], Reach]:
    """Return the rule of what mixes all cells along some axes of a tensor, and keeps or drops these axes."""

    def rule(call: Call, inputs: list[Reach], _axis: int) -> Reach:
        reach, shape = inputs[0], call.outputs[0].shape
        dims = {dim % _cells(reach).ndim for dim in dims_of(call)}
        if _axes(reach) & dims:
            return _WHOLE
        kept = _first(reach, dims)
        return reach._replace(cells=(kept if kept.ndim == len(shape) else kept.reshape(shape)).expand(shape))

    return rule


def _reduced_dims(call: Call) -> Collection[int]:
    dims = call.argument("dim", tuple(range(call.tensors[0].ndim)))
    return dims if isinstance(dims, list | tuple) else (dims,)


def _multiplied(call: Call, inputs: list[Reach], axis: int) -> Reach:
    """Return the rule of a product: with weights it mixes the last axis, else what meets is of all places."""
    by_weights = len(inputs) == 1 and call.name in ("matmul", "__matmul__") and call.tensors[1].ndim == 2
    return _mixed_along(lambda _call: (-1,))(call, inputs, axis) if by_weights else _WHOLE


def _put_together(call: Call, inputs: list[Reach], _axis: int) -> Reach | None:
    if len(inputs) < len(call.tensors):
        return None  # with something that is not of the picture
    joined = _widest(inputs)
    dim = call.argument("dim", 0)
    return joined and joined._replace(cells=_put_in_order([_cells(reach) for reach in inputs], dim))


def _joined(call: Call, inputs: list[Reach], _axis: int) -> Reach | None:
    """Return the rule of what is done with each cell, or each pair of cells, by itself."""
    shape = call.outputs[0].shape
    try:
        several = [_cells(reach).expand(shape) for reach in inputs]
    except RuntimeError:  # of another shape: not known what it does
        return None
    joined = _widest(inputs)
    if joined is None or not all(_are_equal(several[0], cells) for cells in several[1:]):
        return None
    return joined._replace(cells=several[0])


_Rule = Callable[[Call, list[Reach], int], Reach | None]
_RULES: Final[Mapping[str, _Rule]] = MappingProxyType(
    {
        "conv": _convolved,
        "conv_transpose": _transposed,
        "max_pool": _pooled,
        "avg_pool": _pooled,
        "adaptive_avg_pool": _adapted,
        "adaptive_max_pool": _adapted,
        "pad": _padded,
        "cat": _put_together,
        "linear": _mixed_along(lambda _call: (-1,)),
        "layer_norm": _mixed_along(lambda call: range(-len(call.argument("normalized_shape")), 0)),
        "group_norm": _mixed_along(lambda call: range(1, call.tensors[0].ndim)),
        "instance_norm": _mixed_along(lambda call: range(2, call.tensors[0].ndim)),
        "local_response_norm": _mixed_along(lambda _call: (1,)),
        "softmax": _mixed_along(lambda call: (call.argument("dim"),)),
        "mean": _mixed_along(_reduced_dims),
        "sum": _mixed_along(_reduced_dims),
        "amax": _mixed_along(_reduced_dims),
        **dict.fromkeys(
            ("matmul", "__matmul__", "bmm", "einsum", "baddbmm", "scaled_dot_product_attention"), _multiplied
        ),
        "multi_head_attention_forward": _multiplied,
    }
)


def _widest(inputs: list[Reach]) -> Reach | None:
    """Return the reach over that of all inputs; None where their cells lie differently far apart."""
    first = inputs[0]
    if any(reach.jump != first.jump for reach in inputs):
        return None
    return first._replace(low=min(reach.low for reach in inputs), high=max(reach.high for reach in inputs))


def _put_in_order(several: list[Tensor], dim: int) -> Tensor:
    shape = list(several[0].shape)
    shape[dim] = sum(cells.shape[dim] for cells in several)
    along = _axes_of(several[0])
    is_numbered = dim % len(shape) not in along and all(
        _are_equal(_slice(cells, dim), _slice(several[0], dim)) for cells in several
    )
    return _slice(several[0], dim).expand(shape) if is_numbered else torch.cat(several, dim)


def _slice(cells: Tensor, dim: int) -> Tensor:
    return cells.narrow(dim, 0, 1)


def _cells(reach: Reach) -> Tensor:
    if reach.cells is None:
        raise TypeError("what sees the whole axis has no numbered cells")
    return reach.cells


def _axes(reach: Reach) -> set[int]:
    """Return the axes of the maps along which cells see other parts of the picture."""
    return _axes_of(_cells(reach))


def _axes_of(cells: Tensor) -> set[int]:
    varied = (dim for dim, size in enumerate(cells.shape) if size > 1 and cells.stride(dim) != 0)
    return {dim for dim in varied if not _are_equal(cells, _slice(cells, dim).expand(cells.shape))}


def _first(reach: Reach, dims: Collection[int]) -> Tensor:
    cells = _cells(reach)
    for dim in dims:
        cells = _slice(cells, dim)
    return cells


def _origin(reach: Reach, place: int) -> tuple[Fraction, Fraction]:
    """Return where the first cell along an axis lies, and how far it is to the next, in pixels."""
    numbers = _cells(reach)
    for dim in range(numbers.ndim):
        numbers = numbers if dim == place else _slice(numbers, dim)
    first, *others = numbers.flatten()[:2].tolist()
    return first * reach.jump, (others[0] - first if others else 1) * reach.jump


def _are_equal(cells: Tensor, others: Tensor) -> bool:
    return cells is others or torch.equal(cells, others)


@cache
def _numbered(shape: torch.Size, axis: int) -> Tensor:
    """Return the number of each cell of maps along an axis; takes no memory for the other axes."""
    numbers = torch.arange(shape[axis], dtype=torch.int32, device="cpu")
    return numbers.view([-1 if dim == axis else 1 for dim in range(len(shape))]).expand(shape)
