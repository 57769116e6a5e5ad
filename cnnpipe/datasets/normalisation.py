"""From uint8 to what a network sees, and the statistics of a data set that it may be scaled by."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, Picture, picture_at, positions_of
from cnnpipe.errors import DataError

_SMALLEST_STD = 1.0 / 255.0  # one grey level: a data set of one colour is not divided by zero


def normalise(pictures_BCHW: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (x / 255 - mean) / std as float32, channels last in memory; on the batch's device.

    Args:
        pictures_BCHW: uint8.
        mean: one number per channel, of values in [0, 1].
        std: the same, positive.
    """
    batch, channels, height, width = pictures_BCHW.shape
    # x / (255 std) - mean / std: one multiplication and one subtraction in place, each along whole rows of
    # pixels; per channel, with the three of a pixel side by side in memory, they take five times as long
    scale = torch.tensor([1.0 / (255.0 * s) for s in std], device=pictures_BCHW.device).repeat(width)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=pictures_BCHW.device)
    rows = pictures_BCHW.permute(0, 2, 3, 1).reshape(batch, height, width * channels).float()
    rows.mul_(scale).sub_(shift.repeat(width))
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def channel_statistics(
    opened: OpenView, convert: Callable[[Picture], Picture], *, split: Split = "train"
) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel of a split's originals, of values in [0, 1].

    Over all pixels: a large picture counts for more than a small one. Copies are left out, their pixels being
    those of the originals.

    Args:
        opened: the view.
        convert: what is done to a picture beforehand, e.g. turning it grey.
        split: train, since the others must not be looked at in training.

    Raises:
        DataError: the split has no picture.
    """
    values, histogram = np.arange(256) / 255.0, None
    for position in positions_of(opened, split):
        if opened.samples[position].copy == 0:
            found = _histogram(convert(picture_at(opened, position)))
            histogram = found if histogram is None else histogram + found
    if histogram is None:
        fix = "set input.normalisation to half or imagenet, or pin pictures to the split"
        raise DataError(split, "has no picture to take mean and standard deviation of", fix)
    num_pixels_C = histogram.sum(axis=1)
    mean_C = histogram @ values / num_pixels_C
    variance_C = histogram @ values**2 / num_pixels_C - mean_C**2
    std_C = np.sqrt(variance_C.clip(min=0.0)).clip(min=_SMALLEST_STD)
    return mean_C.tolist(), std_C.tolist()


def _histogram(picture: Picture) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return how many pixels of each channel have each value, (C, 256): exact sums, whatever the size."""
    channels = picture.reshape(-1, picture.shape[2]).T
    return np.stack([np.bincount(channel, minlength=256) for channel in channels]).astype(np.int64)
