"""The formula of output sizes against torch itself."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from cnnpipe.errors import ParamsError
from cnnpipe.models.sizes import output_size

small = st.integers(1, 5)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), small, small, st.integers(0, 4), small)
def test_the_formula_is_what_torch_does(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    assume(dilation * (kernel - 1) + 1 <= size + 2 * padding)
    picture, filter_ = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
    as_run = functional.conv2d(picture, filter_, stride=stride, padding=padding, dilation=dilation).shape[-1]
    assert output_size(size, kernel=kernel, stride=stride, padding=padding, dilation=dilation) == as_run


def test_resnets_first_convolution_by_hand() -> None:
    assert output_size(224, kernel=7, stride=2, padding=3) == 112


def test_a_filter_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ParamsError, match="a filter of 5 px does not fit on 4 px with padding 0"):
        output_size(4, kernel=3, dilation=2)
