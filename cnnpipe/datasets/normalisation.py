"""From uint8 to what a network sees, and the statistics of a data set that it may be scaled by."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import AnySample, OpenView, Picture, picture_at, positions_of
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
    opened: OpenView[AnySample], convert: Callable[[Picture], Picture], *, split: Split = "train"
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
    histograms_C256: NDArray[np.int64] | None = None
    for position in positions_of(opened, split):
        if opened.samples[position].copy == 0:
            found = _histograms(convert(picture_at(opened, position)))
            histograms_C256 = found if histograms_C256 is None else histograms_C256 + found
    if histograms_C256 is None:
        fix = "set input.normalisation to half or imagenet, or pin pictures to the split"
        raise DataError(split, "has no picture to take mean and standard deviation of", fix)
    statistics = [_mean_and_std(histogram.tolist()) for histogram in histograms_C256]
    return [mean for mean, _ in statistics], [std for _, std in statistics]


def _histograms(picture: Picture) -> NDArray[np.int64]:
    """Return how many pixels of each channel have each value, (C, 256)."""
    channels = picture.reshape(-1, picture.shape[2]).T
    return np.stack([np.bincount(channel, minlength=256) for channel in channels])


def _mean_and_std(histogram: Sequence[int]) -> tuple[float, float]:
    """Return mean and standard deviation of uint8 values over 255; sums of integers are exact everywhere."""
    count = sum(histogram)
    total = sum(value * times for value, times in enumerate(histogram))
    squares = sum(value * value * times for value, times in enumerate(histogram))
    std = math.sqrt((count * squares - total * total) / count**2) / 255.0
    return total / count / 255.0, max(std, _SMALLEST_STD)
