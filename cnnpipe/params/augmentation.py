"""Random changes to training pictures, as an experiment wants them."""

from typing import Annotated

from pydantic import Field

from cnnpipe.params.section import Count, NotNegative, Params, Probability

_Reach = Annotated[float, Field(ge=0.0, le=1.0)]


class AugmentationParams(Params):
    """Random changes to a training picture, drawn per (seed, epoch, sample)."""

    crop_scale: Annotated[float, Field(gt=0.0, le=1.0)]
    flip_horizontal: Probability
    flip_vertical: Probability
    translate_fraction: Annotated[float, Field(ge=0.0, lt=1.0)]
    brightness: _Reach
    contrast: _Reach
    saturation: _Reach
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0  # of the circle of colours


class DetectAugmentationParams(AugmentationParams):
    """The same for a picture with boxes."""

    min_visible_fraction: (
        Probability  # of a box's area that a crop or shift must leave; less: the box is lost
    )


class CutoutParams(Params):
    """Squares of the fill colour over a picture: the network must look elsewhere, too."""

    holes: Count
    side_fraction: Annotated[float, Field(gt=0.0, le=1.0)]  # of the picture's side


class PictureAugmentationParams(AugmentationParams):
    """The same for a picture that has no boxes, and what would not keep boxes tight. Left out: off."""

    crop_from_px: Annotated[int, Field(ge=8, le=2048)] | None = None  # crops of that square
    crop_ratio: Annotated[float, Field(ge=1.0, le=4.0)] = 1.0  # largest change of a crop's proportions
    rotation_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0  # either way
    cutout: CutoutParams | None = None


class MixParams(Params):
    """Two pictures of a batch become one, and so do their labels.

    Source: Zhang et al. 2018, mixup; Yun et al. 2019, CutMix.
    """

    mixup_alpha: NotNegative  # of the beta distribution that the share is drawn from; 0: no mixup
    cutmix_alpha: NotNegative  # the same; where both are above 0, each batch draws one of the two
    probability: Probability  # of a batch to be mixed
