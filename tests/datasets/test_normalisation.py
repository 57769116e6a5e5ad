from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2  # type: ignore[import-untyped]  # it carries no types
from toy_views import make_view

from cnnpipe.datasets.normalisation import channel_statistics, normalise
from cnnpipe.datasets.packs import Picture, open_view
from cnnpipe.errors import DataError

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def unchanged(picture: Picture) -> Picture:
    return picture


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_normalise_is_that_of_torchvision(channels: int, channels_last: bool) -> None:
    pictures = torch.randint(0, 256, (4, channels, 5, 7), dtype=torch.uint8)
    mean, std = MEAN[:channels], STD[:channels]
    if channels_last:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    before = pictures.clone()
    expected = v2.functional.normalize(v2.functional.to_dtype(pictures, torch.float32, scale=True), mean, std)
    result = normalise(pictures, mean, std)
    assert result.dtype == torch.float32
    assert torch.allclose(result, expected, atol=1e-6)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_all_pixels_at_once(tmp_path: Path, channels: int) -> None:
    pictures = make_view(tmp_path, channels=channels, copies=2)
    opened = open_view(tmp_path)
    originals = [
        picture
        for picture, sample in zip(pictures, opened.samples, strict=True)
        if sample.split == "train" and sample.copy == 0
    ]
    pixels = np.concatenate([picture.reshape(-1, channels) for picture in originals]) / 255.0
    mean, std = channel_statistics(opened, unchanged)
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-12)


def test_statistics_are_of_what_the_network_sees(tmp_path: Path) -> None:
    make_view(tmp_path)
    mean, std = channel_statistics(open_view(tmp_path), lambda picture: picture[:, :, 1:2])
    whole_mean, whole_std = channel_statistics(open_view(tmp_path), unchanged)
    assert (mean, std) == (whole_mean[1:2], whole_std[1:2])


def test_a_data_set_of_one_colour_is_not_divided_by_zero(tmp_path: Path) -> None:
    make_view(tmp_path)
    mean, std = channel_statistics(open_view(tmp_path), lambda picture: np.full_like(picture, 51))
    assert mean == pytest.approx([0.2] * 3)
    assert min(std) == pytest.approx(1 / 255)


def test_an_empty_split_has_no_statistics(tmp_path: Path) -> None:
    make_view(tmp_path, splits=["val"])
    with pytest.raises(DataError, match=r"train(.|\n)*normalisation"):
        channel_statistics(open_view(tmp_path), unchanged)
