"""The networks that can be chosen by name, and what can be known of them without building one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Network -> where its first weights can come from, by task; each also takes those of a file. The builders are
# in models/; the names stand here too, so that params are checked without importing torch.
NETWORK_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"lenet": ("none",), "lite0": ("none", "package"), "resnet18": ("none",)}
)
DETECTOR_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "fcos-lite0": ("none", "package"),
        "fasterrcnn-lite0": ("none", "package"),
        "fasterrcnn_mobilenet_v3_large_320_fpn": ("none",),
    }
)
