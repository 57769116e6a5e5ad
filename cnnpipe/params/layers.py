"""The layers that a network of params.yaml is written in.

What is left out of a layer is as in torch: stride 1 (of a pooling: its kernel), no padding, dilation 1, one
group, with a bias. Every extent is one number, or in 2-D a pair [height, width].
"""

from typing import Annotated, Any, Literal, Self

from pydantic import PlainValidator, model_validator

from cnnpipe.params.section import Count, Fraction, Params

# What an `activation` layer, and the option of the networks that take one, can be.
Activation = Literal[
    "relu", "leaky_relu", "elu", "silu", "sigmoid", "tanh", "scaled_sigmoid"
]  # scaled_sigmoid: a·sigmoid(x), a learned
PaddingMode = Literal["zeros", "reflect", "replicate"]
Pair = tuple[int, int]


def _numbers(value: Any, at_least: int) -> int | Pair:
    several = isinstance(value, list | tuple)
    numbers = tuple(value) if several else (value,)
    is_number = [isinstance(one, int) and not isinstance(one, bool) and one >= at_least for one in numbers]
    if not all(is_number) or len(numbers) != (2 if several else 1):
        raise ValueError(
            f"{value!r} should be a whole number of at least {at_least}, or a pair [height, width]"
        )
    return (numbers[0], numbers[1]) if several else numbers[0]


def _extent(value: Any) -> int | Pair:
    return _numbers(value, at_least=1)


def _border(value: Any) -> int | Pair:
    return _numbers(value, at_least=0)


def _padding(value: Any) -> int | Pair | str:
    if not isinstance(value, str):
        return _border(value)
    if value not in ("valid", "same"):
        raise ValueError(f"{value!r} should be valid, same, a whole number, or a pair [height, width]")
    return value


Extent = Annotated[int | Pair, PlainValidator(_extent)]  # cells, at least 1
Border = Annotated[int | Pair, PlainValidator(_border)]  # cells on each side, at least 0
Padding = Annotated[int | Pair | Literal["valid", "same"], PlainValidator(_padding)]


class _FilterParams(Params):
    """What every convolution that looks at its input's neighbours has."""

    out: Count  # features
    kernel: Extent
    stride: Extent = 1
    padding: Padding = 0  # valid: 0; same: the output has 1/stride of the input's places, rounded up
    padding_mode: PaddingMode = "zeros"
    dilation: Extent = 1
    bias: bool = True


class ConvParams(_FilterParams):
    """A convolution."""

    groups: Count = 1  # features are told apart into so many groups that do not see each other


class DepthwiseSeparableParams(_FilterParams):
    """A filter for each feature by itself, then a convolution of 1 x 1 that mixes them.

    Source: Howard et al. 2017, MobileNets, section 3.1.
    """


class TransposedParams(Params):
    """A transposed convolution, which makes maps larger."""

    out: Count
    kernel: Extent
    stride: Extent = 1
    padding: Border = 0  # taken away from each side of the output
    output_padding: Border = 0  # added to its end
    dilation: Extent = 1
    groups: Count = 1
    bias: bool = True


class PoolParams(Params):
    """The largest or the mean of the cells below a window, or of the whole map."""

    kind: Literal["max", "avg", "global_max", "global_avg"]
    kernel: Extent | None = None  # set exactly where the pooling is not global
    stride: Extent | None = None  # left out: the kernel's
    padding: Border = 0
    ceil: bool = False  # a window may reach over the end: the output's size is rounded up

    @model_validator(mode="after")
    def _what_is_global_has_no_window(self) -> Self:
        is_global = self.kind.startswith("global_")
        if is_global and (self.kernel, self.stride, self.padding, self.ceil) != (None, None, 0, False):
            raise ValueError(f"a pooling of kind {self.kind} takes the whole map: leave out all but kind")
        if not is_global and self.kernel is None:
            raise ValueError(f"a pooling of kind {self.kind} needs a kernel")
        return self


class BatchNormParams(Params):
    """Batch norm over each feature."""


class SqueezeExciteParams(Params):
    """Features weighed by what the whole map shows.

    Source: Hu et al. 2018, Squeeze-and-excitation networks, section 3.
    """

    reduction: Count  # the two full connections in between have 1/reduction of the features


class FlattenParams(Params):
    """All cells of all maps as one row of features."""


class FcParams(Params):
    """A full connection."""

    out: Count
    bias: bool = True


class LayerParams(Params):
    """One layer: a mapping of its kind to its settings, and of nothing else."""

    conv: ConvParams | None = None
    depthwise_separable: DepthwiseSeparableParams | None = None
    transposed: TransposedParams | None = None
    pool: PoolParams | None = None
    activation: Activation | None = None
    batch_norm: BatchNormParams | None = None
    dropout: Fraction | None = None
    squeeze_excite: SqueezeExciteParams | None = None
    flatten: FlattenParams | None = None
    fc: FcParams | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_kind_alone_has_no_settings(cls, value: Any) -> Any:
        if isinstance(value, str):  # `- flatten`
            return {value: {}}
        if isinstance(value, dict) and list(value.values()) == [None]:  # `- flatten:`
            return {kind: {} for kind in value}
        return value

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise ValueError(f"a layer is of one kind, and this names {found}: begin each with a dash")
        return self

    @property
    def kind(self) -> str:
        """Its kind, e.g. conv."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)
