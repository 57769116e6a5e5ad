"""The size of what a convolution or pooling leaves, worked out before anything runs."""

from collections.abc import Iterable
from typing import NamedTuple

from cnnpipe.errors import ParamsError


class Window(NamedTuple):
    """What of a convolution or pooling decides the size of its output, pixels."""

    kernel: int
    stride: int = 1
    padding: int = 0


def output_size(size_px: int, *, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return the side of a layer's output: floor((H - F' + 2P) / S) + 1 with F' = D(F - 1) + 1.

    Args:
        size_px: side H of the layer's input, pixels.
        kernel: side F of the filter.
        stride: S, step of the filter.
        padding: P, pixels added on each side.
        dilation: D, distance between the taps of the filter; 1 is dense.

    Returns:
        Side in pixels, at least 1.

    Raises:
        ParamsError: the filter does not fit on the input.

    Source: Dumoulin and Visin 2016, A guide to convolution arithmetic, relationships 6 and 15.
    """
    reach = dilation * (kernel - 1) + 1
    if reach > size_px + 2 * padding:
        raise ParamsError(
            "network",
            f"a filter of {reach} px does not fit on {size_px} px with padding {padding}",
            "raise input.side_px",
        )
    return (size_px - reach + 2 * padding) // stride + 1


def side_through(side_px: int, windows: Iterable[Window], *, network: str) -> int:
    """Return the side of the maps behind several layers, pixels.

    Args:
        side_px: of the network's input.
        windows: of its layers that change the size, in their order.
        network: its name, for the error.

    Raises:
        ParamsError: the input is too small; the arithmetic is told.
    """
    sides = [side_px]
    try:
        for window in windows:
            sides.append(output_size(sides[-1], **window._asdict()))
    except ParamsError as error:
        what = f"input of {side_px} px: {' → '.join(map(str, sides))}: {error.what}"
        raise ParamsError(f"network {network}", what, error.fix) from error
    return sides[-1]
