"""Sizes of written layers: the formula against torch, numbers by hand, and what is said of a misfit."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from cnnpipe.errors import ParamsError
from cnnpipe.params.layer_sizes import Maps, layer_sizes, read_as
from cnnpipe.params.layers import LayerParams
from cnnpipe.params.windows import Window, num_places, num_transposed_places, same_padding

small = st.integers(1, 5)
pads = st.integers(0, 4)
PICTURE = Maps(3, (32, 32))


def sizes_of(*layers: Any, picture: Maps = PICTURE) -> list[str]:
    """Return what each layer leaves; the last is flattened, which is not among them."""
    listed = [LayerParams.model_validate(layer) for layer in (*layers, "flatten")]
    return [str(maps) for maps in layer_sizes(listed, picture)[:-1]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), small, small, pads, small)
def test_convolutions_leave_what_torch_leaves(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    window = Window(kernel, stride, padding, padding, dilation)
    assume(num_places(size, window) >= 1)
    layer = nn.Conv1d(1, 1, kernel, stride, padding, dilation, device="meta")
    assert num_places(size, window) == layer(torch.empty(1, 1, size, device="meta")).shape[-1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), small, small, pads, st.booleans())
def test_poolings_leave_what_torch_leaves(
    size: int, kernel: int, stride: int, padding: int, ceil: bool
) -> None:
    window = Window(kernel, stride, padding, padding)
    assume(2 * padding <= kernel and num_places(size, window, ceil=ceil) >= 1)
    layer = nn.MaxPool1d(kernel, stride, padding, ceil_mode=ceil)
    assert num_places(size, window, ceil=ceil) == layer(torch.empty(1, 1, size, device="meta")).shape[-1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), small, small, pads, small, st.integers(0, 4))
def test_transposed_convolutions_leave_what_torch_leaves(
    size: int, kernel: int, stride: int, padding: int, dilation: int, added: int
) -> None:
    window = Window(kernel, stride, padding, padding, dilation)
    places = num_transposed_places(size, window, output_padding=added)
    assume(added < max(stride, dilation) and places >= 1)
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, added, dilation=dilation, device="meta")
    assert places == layer(torch.empty(1, 1, size, device="meta")).shape[-1]


@given(st.integers(1, 40), small, small, pads, small)
def test_a_transposed_convolution_undoes_the_size_of_a_convolution(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    window = Window(kernel, stride, padding, padding, dilation)
    larger = num_transposed_places(size, window)
    assume(larger >= 1)
    assert num_places(larger, window) == size


@given(st.integers(1, 60), st.integers(1, 7), small, small)
def test_same_leaves_one_place_for_each_stride_begun(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    window = same_padding(size, Window(kernel, stride, dilation=dilation))
    assert num_places(size, window) == -(-size // stride)
    assert 0 <= window.after - window.before <= 1  # the odd cell is at the end


@given(st.integers(1, 40), st.integers(1, 7), small)
def test_same_with_stride_1_adds_what_torch_adds(size: int, kernel: int, dilation: int) -> None:
    window = same_padding(size, Window(kernel, dilation=dilation))
    layer = nn.Conv1d(1, 1, kernel, padding="same", dilation=dilation, device="meta")
    assert [window.after, window.before] == sorted(layer._reversed_padding_repeated_twice, reverse=True)


def test_pooling_of_2x2_keeps_a_quarter() -> None:
    assert sizes_of({"pool": {"kind": "max", "kernel": 2}}) == ["3 x 16 x 16"]
    assert 16 * 16 * 4 == 32 * 32


def test_lenet_by_hand() -> None:
    layers = (
        *({"conv": {"out": 6, "kernel": 5}}, {"pool": {"kind": "max", "kernel": 2}}),
        *({"conv": {"out": 16, "kernel": 5}}, {"pool": {"kind": "max", "kernel": 2}}, "flatten"),
        *({"fc": {"out": 120}}, {"fc": {"out": 84}}),
    )
    expected = ["6 x 28 x 28", "6 x 14 x 14", "16 x 10 x 10", "16 x 5 x 5", "400", "120", "84"]
    assert sizes_of(*layers, picture=read_as(channels=1, side_px=32, axes=2)) == expected


def test_a_series_of_columns_has_the_rows_as_features() -> None:
    series = read_as(channels=3, side_px=32, axes=1)
    assert str(series) == "96 x 32"
    assert sizes_of({"conv": {"out": 8, "kernel": 5, "stride": 2}}, picture=series) == ["8 x 14"]


def test_a_pair_is_height_and_width() -> None:
    layers = ({"conv": {"out": 8, "kernel": [3, 5], "stride": [1, 2], "padding": [1, 0]}},)
    assert sizes_of(*layers) == ["8 x 32 x 14"]


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (
            [{"pool": {"kind": "max", "kernel": 9}}, {"conv": {"out": 8, "kernel": 5}}],
            "options.layers.1, layer 2 (conv): input 3 x 3 x 3, kernel 5, padding 0: "
            "floor((3 − 5 + 0)/1) + 1 = −1\n  fix: take a smaller kernel",
        ),
        (
            [{"conv": {"out": 8, "kernel": 20, "dilation": 2, "padding": 3}}],
            "kernel 20 of reach 39, padding 3: floor((32 − 39 + 6)/1) + 1 = 0",
        ),
        (
            [{"transposed": {"out": 8, "kernel": 1, "padding": 16}}],
            "layer 1 (transposed): input 3 x 32 x 32, kernel 1, padding 16: "
            "(32 − 1)·1 − 32 + 1·(1 − 1) + 0 + 1 = 0",
        ),
        ([{"transposed": {"out": 8, "kernel": 2, "output_padding": 1}}], "below the stride 1"),
        ([{"pool": {"kind": "max", "kernel": 2, "padding": 2}}], "more than half of the kernel"),
        ([{"conv": {"out": 8, "kernel": 1, "groups": 2}}], "groups 2: it does not divide 3 features"),
        ([{"conv": {"out": 8, "kernel": 1, "groups": 3}}], "groups 3: it does not divide 8 features"),
        (
            [{"conv": {"out": 8, "kernel": 3, "padding": 32, "padding_mode": "reflect"}}],
            "padding 32 in mode reflect: 32 cells have 31 to mirror",
        ),
        ([{"squeeze_excite": {"reduction": 4}}], "reduction 4: 3/4 leaves no feature"),
        (["flatten", {"conv": {"out": 8, "kernel": 3}}], "input 3072, flat features have no places"),
        ([{"fc": {"out": 8}}], "put flatten before it"),
    ],
    ids=lambda value: next(iter(value[-1])) if isinstance(value, list) else "",
)
def test_a_misfit_is_told_with_its_layer_and_the_arithmetic(
    layers: list[Mapping[str, Any]], told: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        sizes_of(*layers)
    assert told in str(caught.value)


def test_a_pair_has_no_place_in_a_series() -> None:
    with pytest.raises(ParamsError, match=r"the pair \[3, 1\]: there is one axis with axes: 1"):
        sizes_of({"conv": {"out": 8, "kernel": [3, 1]}}, picture=read_as(channels=1, side_px=8, axes=1))


def test_what_ends_in_maps_is_refused() -> None:
    layers = [LayerParams.model_validate({"conv": {"out": 8, "kernel": 3}})]
    with pytest.raises(ParamsError, match=r"they end in maps of 8 x 30 x 30.*\n.*end them with flatten"):
        layer_sizes(layers, PICTURE)
