"""Section `augment`: the views that training reads."""

from typing import Annotated, Literal

from pydantic import Field

from cnnpipe.params.section import Params, Probability


class CropFlipParams(Params):
    """The seeded copies `augment` adds to train: a random crop, then flips."""

    crop_scale: Annotated[float, Field(gt=0.0, le=1.0)]
    flip_horizontal: Probability
    flip_vertical: Probability


class ClassifyViewParams(Params):
    """Section `augment.classify`: what classification reads."""

    source: Literal["objects", "pictures"]
    margin_fraction: Annotated[float, Field(ge=0.0, le=2.0)]
    square: bool
    max_side_px: Annotated[int, Field(ge=8, le=4096)]
    min_side_px: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3]
    seed: int
    copies: Annotated[int, Field(ge=0, le=100)]
    copy_transform: CropFlipParams


class AugmentParams(Params):
    """Section `augment`: one key per view."""

    classify: ClassifyViewParams
