"""How much there is to be seen: nothing in one colour, most in black and white."""

import numpy as np
import pytest

from cnnpipe.formats.contrast import contrast

STRIPES = np.zeros((128, 128, 3), dtype=np.uint8)
STRIPES[:, 64:] = 255


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(np.full((7, 5, 3), 90, dtype=np.uint8), 0.0, id="one colour"),
        pytest.param(np.full((1, 1, 1), 90, dtype=np.uint8), 0.0, id="one grey pixel"),
        pytest.param(STRIPES, 127.5, id="half black, half white"),
        pytest.param(STRIPES[:, :, :1], 127.5, id="one channel"),
        pytest.param(STRIPES * np.array([0, 0, 1], dtype=np.uint8), 14.5, id="blue is dark"),
    ],
)
def test_it_is_the_deviation_of_the_grey_levels(picture: np.ndarray, expected: float) -> None:
    assert contrast(picture) == expected


def test_noise_is_not_seen_and_a_small_object_is() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(120, 136, (1024, 1024, 1), dtype=np.uint8)
    assert contrast(noise) < 1
    noise[400:500, 400:500] = 30
    assert contrast(noise) > 5
