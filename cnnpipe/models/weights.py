"""Weights on disk: safetensors, equal bytes for equal weights, read strictly."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from cnnpipe import files
from cnnpipe.errors import ModelError


def write_weights(path: Path, state: Mapping[str, Tensor]) -> str:
    """Write a network's state to `path`, whole; return the SHA-256 of the file.

    Args:
        path: the .safetensors file.
        state: a `state_dict`, on any device and in any memory format.
    """
    files.write_bytes(path, save({name: tensor.cpu().contiguous() for name, tensor in state.items()}))
    return files.sha256_of_file(path)


def read_weights(path: Path, network: nn.Module, *, sha256: str) -> None:
    """Load the file into `network`: every name and shape must fit.

    Args:
        path: the .safetensors file.
        network: of the kind the weights were trained in.
        sha256: what the file must hash to.

    Raises:
        ModelError: the file is missing, damaged, another one, or of another network.
    """
    try:
        content = path.read_bytes()
        if files.sha256_of_file(path) != sha256:
            raise ModelError(str(path), "is not the file that was trained: its SHA-256 differs", _FIX)
        network.load_state_dict(load(content), strict=True)
    except (OSError, SafetensorError) as error:
        raise ModelError(str(path), f"cannot be read: {error}", _FIX) from error
    except RuntimeError as error:
        what = f"does not fit the network: {' '.join(str(error).split())}"
        raise ModelError(str(path), what, _FIX) from error


_FIX = "restore the file (dvc checkout), or train again"
