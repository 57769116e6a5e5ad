"""Section `tracking`: what a training does when MLflow's store does not answer."""

from typing import Literal

from cnnpipe.params.section import Params

WhenUnreachable = Literal["continue", "fail"]


class TrackingParams(Params):
    """Section `tracking`. No stage depends on it: it changes no result."""

    when_unreachable: WhenUnreachable
