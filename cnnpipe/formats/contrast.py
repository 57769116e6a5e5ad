"""How much there is to be seen in a picture, as one number."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE: Final = 64  # pixels; the picture is averaged to this square: noise goes, objects stay


def contrast(picture: NDArray[np.uint8]) -> float:
    """Return the standard deviation of the grey levels, of 255: 0 is one colour all over.

    Args:
        picture: HWC, one channel or RGB.

    Source: the RMS contrast of E. Peli, "Contrast in complex images" (1990), of ITU-R 601 luma.
    """
    whole = Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture)
    small = whole.resize((_SIDE, _SIDE), Image.Resampling.BOX).convert("L")
    return round(float(np.asarray(small, dtype=np.float64).std()), 2)
