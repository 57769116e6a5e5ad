"""Where the backbone of a network ends."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cnnpipe.errors import ParamsError
from cnnpipe.models.timm_networks import timm_head
from cnnpipe.params.networks import NETWORK_FACTS, TIMM_PREFIX, is_of_timm

_ABOVE_PYRAMID: Final = ("detector.backbone.fpn.", "detector.rpn.", "detector.roi_heads.")

# Network -> how the names of its head's tensors begin; all others are the backbone, which weights that were
# trained elsewhere can fill. Those too small to have parts have none.
HEADS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: facts.head for name, facts in NETWORK_FACTS.items()}
    | {
        "fcos-lite0": ("detector.backbone.fpn.", "detector.head."),
        "fasterrcnn-lite0": _ABOVE_PYRAMID,
        "fasterrcnn_mobilenet_v3_large_320_fpn": _ABOVE_PYRAMID,
    }
)


def head_of(network: str) -> tuple[str, ...]:
    """Return how the names of the head's tensors begin.

    Args:
        network: key of `HEADS`, or timm/<name>.
    """
    return timm_head(network.removeprefix(TIMM_PREFIX)) if is_of_timm(network) else HEADS[network]


def is_of_head(network: str, tensor: str) -> bool:
    """Say whether a tensor, by its name in the state dict, is of the network's head."""
    return tensor.startswith(head_of(network))


def check_has_head(network: str) -> None:
    """Check that the network has a head apart from its backbone.

    Raises:
        ParamsError: it has none.
    """
    if not head_of(network):
        apart = ", ".join(name for name, head in HEADS.items() if head)
        what = f"network {network!r} has no backbone that could be treated apart from its head"
        raise ParamsError("transfer", what, f"set transfer: null, or choose one of: {apart}")
