"""The size of the maps behind several layers, worked out before anything runs."""

from collections.abc import Iterable

from cnnpipe.errors import ParamsError
from cnnpipe.params.windows import Window, num_places


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
    for window in windows:
        sides.append(num_places(sides[-1], window))
        if sides[-1] < 1:
            way = " → ".join(map(str, sides[:-1]))
            what = f"{way}: a window of {window.reach} px does not fit on {sides[-2]} px"
            raise ParamsError(f"network {network}", f"input of {side_px} px: {what}", "raise input.side_px")
    return sides[-1]
