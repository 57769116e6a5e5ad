"""Section `split`: which pictures train, choose and judge."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cnnpipe.params.section import Fraction, Params


class SplitParams(Params):
    """Section `split`. Fractions are of groups."""

    seed: int
    given: Literal["none", "folder", "attribute"]
    given_attribute: str | None
    group_by: Literal["image", "folder"]
    near_duplicate_bits: Annotated[int, Field(ge=-1, le=16)]
    val_fraction: Fraction
    test_fraction: Fraction

    @model_validator(mode="after")
    def _something_is_left_to_train(self) -> "SplitParams":
        if self.val_fraction + self.test_fraction >= 1.0:
            raise ValueError("val_fraction + test_fraction must be below 1")
        return self

    @model_validator(mode="after")
    def _the_attribute_is_named_when_needed(self) -> "SplitParams":
        if (self.given == "attribute") != (self.given_attribute is not None):
            raise ValueError("given_attribute is set exactly when given is 'attribute'")
        return self
