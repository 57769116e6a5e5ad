"""Networks without convolution: the counts of LeCun et al. 1998 and the formula."""

import pytest
import torch

from cnnpipe.models.building import num_parameters
from cnnpipe.models.fully_connected import mlp, perceptron
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.network_options import NetworkOptions


def shape_of(side_px: int, *, channels: int = 1, hidden: list[int] | None = None) -> NetworkShape:
    options = NetworkOptions(hidden=hidden)
    return NetworkShape(num_classes=10, channels=channels, side_px=side_px, dropout=0.0, options=options)


def test_a_perceptron_has_the_papers_parameters() -> None:
    assert num_parameters(perceptron(shape_of(28))) == 7_850  # section III.C.1


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        (None, 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10),
        ([7], 784 * 7 + 7 + 7 * 10 + 10),
        ([9, 8, 7], 784 * 9 + 9 + 9 * 8 + 8 + 8 * 7 + 7 + 7 * 10 + 10),
    ],
)
def test_hidden_layers_are_those_asked_for(hidden: list[int] | None, expected: int) -> None:
    network = mlp(shape_of(28, hidden=hidden))
    assert num_parameters(network) == expected
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_perceptron_is_a_matrix_and_a_shift() -> None:
    network = perceptron(shape_of(8, channels=3))
    weight, bias = network.parameters()
    pictures = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(network(pictures), pictures.reshape(2, -1) @ weight.T + bias)
