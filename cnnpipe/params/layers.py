"""The layers that a network of params.yaml is written in."""

from cnnpipe.params.section import Params


class LayerParams(Params):
    """One layer."""
