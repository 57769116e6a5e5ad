"""What every section of params.yaml shares: strict, frozen, and without defaults."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


class Params(BaseModel):
    """A section of params.yaml. It has no defaults: DVC versions only what is written."""

    # deferred: only the model that is asked for is built, not each one on its way
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)
