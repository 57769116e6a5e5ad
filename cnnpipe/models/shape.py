"""What a network's builder is told: sizes at its two ends, and dropout."""

import msgspec

from cnnpipe.params.network_options import NetworkOptions


class NetworkShape(msgspec.Struct, frozen=True, kw_only=True):
    """The two ends of a classifier. Input: B x channels x side_px x side_px; output: B x num_classes."""

    num_classes: int
    channels: int  # 1 or 3
    side_px: int
    dropout: float  # share of features zeroed in training, in [0, 1)
    options: NetworkOptions = msgspec.field(default_factory=NetworkOptions)
