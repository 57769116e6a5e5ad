"""Weights on disk: the same bytes again, and no wrong file unnoticed."""

from pathlib import Path

import pytest
import torch
from torch import nn

from cnnpipe.errors import ModelError
from cnnpipe.files import sha256_of_file
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights import read_weights, write_weights


def lenet(*, seed: int, num_classes: int = 3) -> nn.Module:
    shape = NetworkShape(num_classes=num_classes, channels=1, side_px=28, dropout=0.0)
    return build_network("lenet", shape, weights="none", seed=seed)


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    network, other = lenet(seed=1), lenet(seed=2)
    digest = write_weights(path, network.state_dict())
    assert digest == sha256_of_file(path)
    read_weights(path, other, sha256=digest)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), other.parameters(), strict=True))


def test_bytes_depend_on_numbers_alone(tmp_path: Path) -> None:
    """Neither the order of names, the file name nor the memory format shows."""
    state = {"b": torch.arange(12.0).reshape(1, 3, 2, 2), "a": torch.ones(2), "n": torch.tensor(3)}
    shuffled = {name: state[name] for name in ("n", "a", "b")}
    shuffled["b"] = shuffled["b"].contiguous(memory_format=torch.channels_last)
    assert write_weights(tmp_path / "first", state) == write_weights(tmp_path / "second", shuffled)
    assert write_weights(tmp_path / "third", {**state, "a": torch.zeros(2)}) != sha256_of_file(
        tmp_path / "first"
    )


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    digest = write_weights(path, lenet(seed=1).state_dict())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="SHA-256 differs"):
        read_weights(path, lenet(seed=1), sha256=digest)
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(path, lenet(seed=1), sha256=sha256_of_file(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read") as caught:
        read_weights(tmp_path / "weights.safetensors", lenet(seed=1), sha256="")
    assert caught.value.exit_code == 4
    assert "dvc checkout" in caught.value.fix


def test_weights_of_another_network_are_refused_by_name_of_layer(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    digest = write_weights(path, lenet(seed=1, num_classes=5).state_dict())
    with pytest.raises(ModelError, match=r"does not fit the network: .* size mismatch for output\.weight"):
        read_weights(path, lenet(seed=1, num_classes=3), sha256=digest)
