"""How many places a window that moves over a row of cells leaves: the arithmetic of convolution and pooling.

Source: Dumoulin and Visin 2016, A guide to convolution arithmetic for deep learning, relationships 6, 14, 15.
"""

from typing import NamedTuple


class Window(NamedTuple):
    """A filter or pooling window along one axis. Lengths are in cells."""

    kernel: int  # F
    stride: int = 1  # S
    before: int = 0  # cells added at the start of the axis
    after: int = 0  # at its end
    dilation: int = 1  # D, from one tap to the next

    @property
    def reach(self) -> int:
        """From its first tap to its last: F' = D(F - 1) + 1."""
        return self.dilation * (self.kernel - 1) + 1


def same_padding(size: int, window: Window) -> Window:
    """Return the window with the padding that leaves ceil(size / stride) places, the odd cell at the end.

    Source: TensorFlow, tf.nn.convolution, padding SAME; with stride 1 it is torch's `padding="same"`.
    """
    places = -(-size // window.stride)
    added = max((places - 1) * window.stride + window.reach - size, 0)
    return window._replace(before=added // 2, after=added - added // 2)


def num_places(size: int, window: Window, *, ceil: bool = False) -> int:
    """Return floor((H - F' + P) / S) + 1 of H cells with P added ones; below 1 where the window does not fit.

    Args:
        size: H.
        window: F', S and P = before + after.
        ceil: round up instead, as long as the last window begins before the padding at the end.

    Source: relationships 6 and 15; for `ceil`: torch.nn.MaxPool2d.
    """
    room = size - window.reach + window.before + window.after
    if not ceil:
        return room // window.stride + 1
    places = -(-room // window.stride) + 1
    return places - 1 if (places - 1) * window.stride >= size + window.before else places


def num_transposed_places(size: int, window: Window, *, output_padding: int = 0) -> int:
    """Return (H - 1)S - P + D(F - 1) + output_padding + 1, the size whose convolution has H places.

    Args:
        size: H.
        window: its padding is taken away from the output.
        output_padding: cells added at its end.

    Source: relationship 14; torch.nn.ConvTranspose2d.
    """
    return (size - 1) * window.stride - window.before - window.after + window.reach + output_padding
