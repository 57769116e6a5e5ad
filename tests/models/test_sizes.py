"""The side behind several layers against torch itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from cnnpipe.errors import ParamsError
from cnnpipe.models.sizes import side_through
from cnnpipe.params.windows import Window

windows = st.lists(
    st.builds(
        lambda kernel, stride, padding, dilation: Window(kernel, stride, padding, padding, dilation),
        *(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2)),
    ),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), windows)
def test_the_side_is_what_torch_leaves_or_torch_refuses_too(side_px: int, windows: list[Window]) -> None:
    maps = torch.zeros(1, 1, side_px, side_px, device="meta")
    try:
        for window in windows:
            filters = torch.zeros(1, 1, window.kernel, window.kernel, device="meta")
            maps = functional.conv2d(
                maps, filters, stride=window.stride, padding=window.before, dilation=window.dilation
            )
    except RuntimeError:
        with pytest.raises(ParamsError, match=r"network toy: input of \d+ px: .* does not fit on"):
            side_through(side_px, windows, network="toy")
        return
    assert side_through(side_px, windows, network="toy") == maps.shape[-1]


def test_lenets_way_by_hand() -> None:
    """32 - 5 + 1 = 28, halved 14, 14 - 5 + 1 = 10, halved 5."""
    way = (Window(5), Window(2, 2), Window(5), Window(2, 2))
    assert [side_through(32, way[:depth], network="lenet") for depth in range(5)] == [32, 28, 14, 10, 5]


def test_the_arithmetic_of_what_does_not_fit_is_told() -> None:
    with pytest.raises(ParamsError, match="input of 9 px: 9 → 4: a window of 5 px does not fit on 4 px"):
        side_through(9, [Window(2, 2), Window(3, dilation=2)], network="toy")
