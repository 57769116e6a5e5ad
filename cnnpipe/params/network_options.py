"""What can be chosen of a network beside its name. Which network takes which is in `params.networks`."""

from typing import Annotated, Literal

from pydantic import Field

from cnnpipe.params.layers import Activation, LayerParams
from cnnpipe.params.section import Count, NotNegative, Params

Start = Literal["he_normal", "he_uniform", "xavier_normal", "xavier_uniform"]


class NetworkOptions(Params):
    """Left out: as the network's source has it. In model.json, too: a network is built from it again."""

    activation: Activation | None = None  # in place of the network's own
    start: Start | None = None  # of all convolutions and full connections; biases start at 0
    auxiliary_weight: NotNegative | None = None  # of each auxiliary classifier's loss; 0: without them
    widths: Literal["paper", "course"] | None = None  # of zfnet's convolutions 3 to 5
    hidden: Annotated[list[Count], Field(min_length=1)] | None = None  # units of mlp's hidden layers
    axes: Literal[1, 2] | None = None  # of cnn: 1 reads a picture as a series of its columns
    layers: Annotated[list[LayerParams], Field(min_length=1)] | None = None  # of cnn, but for the output
