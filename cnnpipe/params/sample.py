"""Section `sample`: the embedded default data."""

from typing import Annotated

from pydantic import Field

from cnnpipe.params.section import Params


class SampleParams(Params):
    """Section `sample`: the embedded default data."""

    seed: int
    num_scenes: Annotated[int, Field(ge=10, le=100_000)]
    side_px: Annotated[int, Field(ge=64, le=1024)]
