"""Staged VGG: what a shallow network has learned becomes the start of a deeper one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torchvision.models import VGG  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError

_Place = tuple[int, str, int]  # block, kind of layer, and which of its kind there
_CLASSIFIER: Final = "classifier."


def copy_layers(shallow: nn.Module, deep: nn.Module) -> list[str]:
    """Give the layers of `shallow` to `deep`, where they have a place.

    Convolution i of block b becomes convolution i of block b, with its batch norm; full connections become
    those of the same number where their shapes agree. What `deep` has beside them keeps its start.

    Args:
        shallow: VGG 11, 13 or 16, with or without batch norm.
        deep: a deeper one of the same kind, for the same input; it changes.

    Returns:
        Names of the tensors of `deep` that were copied, sorted.

    Raises:
        ParamsError: they are no such pair.

    Source: Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition,
    section 3.1.
    """
    if not (isinstance(shallow, VGG) and isinstance(deep, VGG)):
        raise _refusal("only VGG grows")
    given, own = _layers(shallow), _layers(deep)
    if not given.keys() < own.keys() or _kinds(given) != _kinds(own):
        raise _refusal("the second is not deeper than the first, or only one of them has batch norm")
    state = deep.state_dict()
    copied = dict(_pairs(given, own)) | dict(_full_connections(shallow, state))
    if any(tensor.shape != state[name].shape for name, tensor in copied.items()):
        raise _refusal("they are for inputs of other channels")
    with torch.no_grad():
        for name, tensor in copied.items():
            state[name].copy_(tensor)
    return sorted(copied)


def _layers(network: VGG) -> dict[_Place, tuple[str, nn.Module]]:
    """Return name and layer of all that learns below the full connections, by its place."""
    layers: dict[_Place, tuple[str, nn.Module]] = {}
    block = 0
    for name, layer in network.features.named_children():
        if isinstance(layer, nn.MaxPool2d):
            block += 1
        elif layer.state_dict():
            kind = type(layer).__name__
            number = sum(place[:2] == (block, kind) for place in layers)
            layers[block, kind, number] = (f"features.{name}.", layer)
    return layers


def _kinds(places: Iterable[_Place]) -> set[str]:
    return {kind for _, kind, _ in places}


def _pairs(
    given: Mapping[_Place, tuple[str, nn.Module]], own: Mapping[_Place, tuple[str, nn.Module]]
) -> Iterator[tuple[str, Tensor]]:
    for place, (_, layer) in given.items():
        for leaf, tensor in layer.state_dict().items():
            yield own[place][0] + leaf, tensor


def _full_connections(shallow: VGG, state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in shallow.state_dict().items():
        if name.startswith(_CLASSIFIER) and name in state and tensor.shape == state[name].shape:
            yield name, tensor


def _refusal(what: str) -> ParamsError:
    fix = "grow from vgg11 to vgg13, vgg16 and vgg19, or the same with _bn, each from a shallower one"
    return ParamsError("growth", f"these networks do not grow: {what}", fix)
