"""What can be worked out of one layer from its call: its kind, its output's size, connections, operations.

Sizes are of one picture, without the axis of the batch.
"""

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from cnnpipe.models.calls import Call, along_axes, windows_of
from cnnpipe.params.windows import num_places, num_transposed_places

_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "conv": "conv",
        "conv_transpose": "transposed",
        "max_pool": "max pool",
        "avg_pool": "avg pool",
        "adaptive_avg_pool": "adaptive avg pool",
        "adaptive_max_pool": "adaptive max pool",
        "mean": "global avg pool",
        "linear": "fc",
        "flatten": "flatten",
        "pad": "pad",
        "cat": "concat",
        "dropout": "dropout",
        "local_response_norm": "lrn",
        **{name: name for name in ("batch_norm", "layer_norm", "group_norm", "instance_norm")},
        **dict.fromkeys(("relu", "relu6", "leaky_relu", "elu", "silu", "gelu", "hardtanh"), "activation"),
        **dict.fromkeys(("hardswish", "hardsigmoid", "sigmoid", "tanh", "mish", "softmax"), "activation"),
        **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), "attention"),
        **dict.fromkeys(("matmul", "__matmul__", "bmm", "einsum", "baddbmm"), "product"),
    }
)
_JOINING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "add": "add",
        "__add__": "add",
        "__iadd__": "add",
        "mul": "scale",
        "__mul__": "scale",
        "__imul__": "scale",
    }
)


class Connections(NamedTuple):
    """How many numbers would join a layer's m inputs to its n outputs."""

    full: int  # each to each: m·n
    local: int  # each output to the k inputs it sees, none shared: k·n


def kind_of(call: Call, *, joins: bool) -> str | None:
    """Return the kind of layer that a call is, or None where it is none by itself.

    Args:
        call: of torch.
        joins: several branches that come of the picture, or one with learned numbers.
    """
    if call.name == "conv" and 1 < call.argument("groups", 1) == call.argument("input").shape[1]:
        return "depthwise conv"
    if call.name.startswith("adaptive_") and set(call.outputs[0].shape[2:]) == {1}:
        return _KINDS[call.name].replace("adaptive", "global")
    if joins and call.name in _JOINING:
        return _JOINING[call.name]
    return _KINDS.get(call.name)


def output_by_formula(call: Call) -> list[int]:
    """Return the size of the output by the layer's formula; by default that of its inputs, broadcast."""
    rule = _SIZES.get(call.name)
    if rule is not None:
        return rule(call)
    return _broadcast(*(tensor.shape for tensor in call.tensors))[1:]


def connections_of(call: Call) -> Connections | None:
    """Return the connections of a convolution or full connection, else None. Biases are not counted.

    Source: Goodfellow et al. 2016, Deep Learning, section 9.2: m·n parameters, k·n by sparse connectivity,
    and k by sharing them.
    """
    if call.name not in _SEEN_INPUTS:
        return None
    num_inputs, num_outputs = prod(call.argument("input").shape[1:]), prod(call.outputs[0].shape[1:])
    return Connections(full=num_inputs * num_outputs, local=_SEEN_INPUTS[call.name](call))


def flops_of(call: Call) -> int:
    """Return floating-point operations for one picture: two for each multiply-add, nothing for the rest.

    Source: as torch.utils.flop_counter counts, which is asked itself for products of maps.
    """
    if call.name in _SEEN_INPUTS:
        return 2 * int(_SEEN_INPUTS[call.name](call))
    if _KINDS.get(call.name) not in ("attention", "product"):
        return 0
    with FlopCounterMode(display=False) as counter:
        call.function(*call.args, **call.kwargs)
    return int(counter.get_total_flops())


def _windowed(call: Call) -> list[int]:
    windows, is_ceil = windows_of(call), bool(call.argument("ceil_mode", False))
    features, *places = call.argument("input").shape[1:]
    weight = call.argument("weight")
    sizes = (num_places(size, window, ceil=is_ceil) for size, window in zip(places, windows, strict=True))
    return [features if weight is None else weight.shape[0], *sizes]


def _transposed(call: Call) -> list[int]:
    places = call.argument("input").shape[2:]
    added = along_axes(call.argument("output_padding", 0), len(places))
    features = call.argument("weight").shape[1] * call.argument("groups", 1)
    return [
        features,
        *(
            num_transposed_places(size, window, output_padding=cells)
            for size, window, cells in zip(places, windows_of(call), added, strict=True)
        ),
    ]


def _adapted(call: Call) -> list[int]:
    features, *places = call.argument("input").shape[1:]
    wanted = along_axes(call.argument("output_size"), len(places))
    return [features, *(out or size for out, size in zip(wanted, places, strict=True))]


def _connected(call: Call) -> list[int]:
    return [*call.argument("input").shape[1:-1], call.argument("weight").shape[0]]


def _put_together(call: Call) -> list[int]:
    sizes = [list(tensor.shape) for tensor in call.tensors]
    dim = call.argument("dim", 0)
    return [*sizes[0][:dim], sum(size[dim] for size in sizes), *sizes[0][dim:][1:]][1:]


def _flattened(call: Call) -> list[int]:
    size = list(call.argument("input").shape)
    start, end = (dim % len(size) for dim in (call.argument("start_dim", 0), call.argument("end_dim", -1)))
    return [*size[:start], prod(size[start : end + 1]), *size[end + 1 :]][1:]


def _reduced(call: Call) -> list[int]:
    size = list(call.argument("input").shape)
    dims = call.argument("dim", tuple(range(len(size))))
    gone = {dim % len(size) for dim in (dims if isinstance(dims, list | tuple) else (dims,))}
    if call.argument("keepdim", False):
        return [1 if dim in gone else length for dim, length in enumerate(size)][1:]
    return [length for dim, length in enumerate(size) if dim not in gone][1:]


def _padded(call: Call) -> list[int]:
    size, pad = list(call.argument("input").shape), call.argument("pad")
    for axis in range(len(pad) // 2):
        size[-1 - axis] += pad[2 * axis] + pad[2 * axis + 1]
    return size[1:]


def _normed(call: Call) -> list[int]:
    return list(call.tensors[0].shape[1:])


def _attended(call: Call) -> list[int]:
    query, _key, value = call.tensors[:3]
    return [*query.shape[1:-1], value.shape[-1]]


def _multiplied(call: Call) -> list[int]:
    one, other = call.tensors[:2]
    batch = _broadcast(one.shape[:-2], other.shape[:-2])
    return [*batch, one.shape[-2], other.shape[-1]][1:]


def _broadcast(*shapes: torch.Size) -> list[int]:
    return list(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]


def _as_run(call: Call) -> list[int]:
    return list(call.outputs[0].shape[1:])


_SIZES: Final[Mapping[str, Callable[[Call], list[int]]]] = MappingProxyType(
    {
        "conv": _windowed,
        "max_pool": _windowed,
        "avg_pool": _windowed,
        "conv_transpose": _transposed,
        "adaptive_avg_pool": _adapted,
        "adaptive_max_pool": _adapted,
        "linear": _connected,
        "cat": _put_together,
        "flatten": _flattened,
        "mean": _reduced,
        "pad": _padded,
        "batch_norm": _normed,
        "layer_norm": _normed,
        "group_norm": _normed,
        "instance_norm": _normed,
        "scaled_dot_product_attention": _attended,
        "matmul": _multiplied,
        "__matmul__": _multiplied,
        "bmm": _multiplied,
        # these have a language of their own, and no formula of sizes
        "einsum": _as_run,
        "baddbmm": _as_run,
        "multi_head_attention_forward": _as_run,
    }
)


def _seen_by_convolution(call: Call) -> int:
    return int(prod(call.argument("weight").shape[1:]) * prod(call.outputs[0].shape[1:]))


def _reached_by_transposed(call: Call) -> int:
    return int(prod(call.argument("weight").shape[1:]) * prod(call.argument("input").shape[1:]))


def _seen_by_full_connection(call: Call) -> int:
    return int(call.argument("weight").shape[1] * prod(call.outputs[0].shape[1:]))


# Layer -> its multiply-adds, which are the pairs of an input and an output that it joins: k·n.
_SEEN_INPUTS: Final[Mapping[str, Callable[[Call], Any]]] = MappingProxyType(
    {
        "conv": _seen_by_convolution,
        "conv_transpose": _reached_by_transposed,
        "linear": _seen_by_full_connection,
    }
)
