"""A 64-bit hash of what a picture looks like: near-duplicates differ in few bits."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# The hash of a picture without structure (blank, or a plain gradient): it resembles nothing.
NO_STRUCTURE: Final = "0" * 16

_SIDE = 32  # pixels; the picture is reduced to this square
_LOW = 8  # the lowest frequencies in each direction
_FEWEST_BITS = 16  # of the 32 that are set where no coefficient equals the median


def perceptual_hash(picture: NDArray[np.uint8]) -> str:
    """Return the hash of an upright picture, as 16 hex digits.

    A bit is set where a coefficient of the cosine transform exceeds the median of the 64 lowest.
    Blank pictures have coefficients that are all rounding noise: they get NO_STRUCTURE, so that
    they do not count as near-duplicates of each other.

    Args:
        picture: HWC, one channel or RGB.

    Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010),
    section 3.2.1, with the 8 x 8 block at frequency 0 (as in the package ImageHash), so that
    pictures of stripes have structure, too.
    """
    grey = Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).convert("L")
    small = grey.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    coefficients = _COSINES @ np.asarray(small, dtype=np.float64) @ _COSINES.T
    # uint8 pixels give coefficients in steps far above this; below it is floating point noise
    low = coefficients.round(6).ravel()
    bits = low > np.median(low)
    if bits.sum() < _FEWEST_BITS:
        return NO_STRUCTURE
    return np.packbits(bits).tobytes().hex()


def _cosines() -> NDArray[np.float64]:
    """Return the first rows of the orthonormal DCT-II, (_LOW, _SIDE)."""
    frequency, position = np.arange(_LOW)[:, None], np.arange(_SIDE)[None, :]
    rows: NDArray[np.float64] = np.cos(np.pi * frequency * (2 * position + 1) / (2 * _SIDE))
    rows *= np.sqrt(2 / _SIDE)
    rows[0] /= np.sqrt(2)
    return rows


_COSINES: Final = _cosines()
