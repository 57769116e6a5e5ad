"""Section `register`: when a new champion takes the place of the old one."""

from typing import Annotated

from pydantic import Field

from cnnpipe.params.section import Params


class RegisterParams(Params):
    """Section `register`. The seed, samples and confidence of the bootstrap are those of `compare`."""

    margin: Annotated[float, Field(ge=0.0, lt=1.0)]
