"""Section `flow`: how a flow walks the graph."""

from typing import Annotated

from pydantic import Field

from cnnpipe.params.section import Count, Params


class FlowParams(Params):
    """Section `flow`. No stage depends on it: it changes no result."""

    max_parallel: Count
    retries: Annotated[int, Field(ge=0, le=100)]
    retry_delay_s: Annotated[float, Field(ge=0.0, le=3600.0)]
