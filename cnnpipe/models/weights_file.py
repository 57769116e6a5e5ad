"""First weights from a file of the user's: tensors find their place by name.

The file may hold a network of cnnpipe, one of timm or torchvision, or a feature extractor alone.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from cnnpipe import files
from cnnpipe.errors import ModelError
from cnnpipe.models.heads import is_of_head
from cnnpipe.models.initialisation import for_channels

_KINDS: Final = (".safetensors", ".pt", ".pth")
_FIX: Final = "fetch the file again"
_SHOWN: Final = 4  # tensors named in an error

# A detector of cnnpipe holds one of torchvision, which holds a feature extractor.
_DETECTOR: Final = "detector."
_EXTRACTOR: Final = "detector.backbone.body."
_FEATURES: Final = "features."  # of torchvision's MobileNetV3 as a classifier


def load_first_weights(network: nn.Module, name: str, path: Path, *, sha256: str) -> None:
    """Give `network` the weights of a file; its backbone must be covered whole.

    Tensors of the head that are not in the file, or have another shape there, keep their start: other classes
    want another head. For grey input the filters of the three colours are summed.

    Args:
        network: with its first weights.
        name: of the network, key of `heads.HEADS`.
        path: state dict as .safetensors, .pt or .pth.
        sha256: what the file must hash to, so that other weights are other params.

    Raises:
        ModelError: the file is missing, damaged, another one, or lacks a part of the backbone.
    """
    fill_backbone(network, name, _read(path, sha256=sha256), where=str(path))


def fill_backbone(network: nn.Module, name: str, found: Mapping[str, Tensor], *, where: str) -> None:
    """Give `network` the tensors of a state dict as `load_first_weights` does.

    Args:
        network: with its first weights.
        name: of the network, key of `heads.HEADS`.
        found: by the names of cnnpipe, timm or torchvision.
        where: they are from, for the error.

    Raises:
        ModelError: a part of the backbone is not there.
    """
    own = network.state_dict()
    fitting = dict(_fitting(own, found))
    lacking = [
        each
        for each in own
        if each not in fitting and not is_of_head(name, each) and not each.endswith("num_batches_tracked")
    ]
    if lacking:
        number = sum(not is_of_head(name, each) for each in own)
        named = ", ".join(_told(each, own, found) for each in lacking[:_SHOWN])
        more = ", …" if len(lacking) > _SHOWN else ""
        what = f"lacks {len(lacking)} of the {number} tensors of the backbone of {name}: {named}{more}"
        raise ModelError(where, what, "give weights of this very network or backbone, or set weights: none")
    network.load_state_dict(own | fitting, strict=True)


def refuse_other(digest: str, sha256: str, *, where: str, section: str) -> None:
    """Check that weights are those that params mean.

    Args:
        digest: what their file hashes to.
        sha256: as params say.
        where: they are from, for the error.
        section: of params.

    Raises:
        ModelError: they are other ones.
    """
    if digest != sha256:
        fix = f"give the weights that were meant, or write this SHA-256 to {section}.sha256"
        raise ModelError(where, f"has the SHA-256 {digest}, where params say {sha256}", fix)


def _read(path: Path, *, sha256: str) -> Mapping[str, Tensor]:
    if path.suffix not in _KINDS:
        raise ModelError(str(path), f"is of no known kind: {', '.join(_KINDS)}", "save a state dict as one")
    try:
        refuse_other(files.sha256_of_file(path), sha256, where=str(path), section="weights_file")
        content = path.read_bytes()
        state = load(content) if path.suffix == ".safetensors" else _unpickled(path, content)
    except (OSError, SafetensorError) as error:
        raise ModelError(str(path), f"cannot be read: {error}", _FIX) from error
    if not isinstance(state, Mapping) or not all(isinstance(each, Tensor) for each in state.values()):
        raise ModelError(str(path), "holds no state dict", "save network.state_dict() and nothing else")
    return state


def _unpickled(path: Path, content: bytes) -> object:
    try:
        state: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load promises no kind of exception for a damaged file
        what = f"cannot be read: {' '.join(str(error).split())[:200]}"
        raise ModelError(str(path), what, _FIX) from error
    return state


def _fitting(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield name and numbers of every tensor of `own` that is in the file in its shape."""
    for name, tensor in own.items():
        numbers = next((found[each] for each in _names_of(name) if each in found), None)
        if numbers is None:
            continue
        if numbers.ndim == 4 and numbers.shape[1] == 3:
            numbers = for_channels(numbers, tensor.shape[1])
        if numbers.shape == tensor.shape:
            yield name, numbers


def _names_of(name: str) -> Iterator[str]:
    """Yield the names that a tensor may have in a file: cnnpipe's, torchvision's, the feature extractor's."""
    yield name
    if name.startswith(_DETECTOR):
        yield name.removeprefix(_DETECTOR)
    if name.startswith(_EXTRACTOR):
        yield name.removeprefix(_EXTRACTOR)
        yield _FEATURES + name.removeprefix(_EXTRACTOR)


def _told(name: str, own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    there = next((found[each] for each in _names_of(name) if each in found), None)
    if there is None:
        return name
    return f"{name} (of shape {list(there.shape)}, not {list(own[name].shape)})"
