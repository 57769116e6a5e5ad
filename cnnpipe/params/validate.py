"""Section `validate`: what is the class, what is dropped, what is too much."""

from typing import Annotated

from pydantic import Field

from cnnpipe.params.section import Params, Probability


class ValidateParams(Params):
    """Section `validate`. `limits` are fractions of pictures or regions, by code of finding."""

    label_attribute: str
    image_label_attribute: str | None
    polyline_as_outline: bool
    min_side_px: Annotated[float, Field(gt=0)]
    limits: dict[str, Probability]
