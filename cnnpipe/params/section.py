"""What every section of params.yaml shares: strict, frozen, and nothing assumed."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Params(BaseModel):
    """A section of params.yaml. DVC versions only what is written, so no number is assumed.

    A part that a recipe can do without may be left out, and is then off.
    """

    # deferred: only the model that is asked for is built, not each one on its way
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
