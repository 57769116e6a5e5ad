"""Section `augment`: the views that training reads."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from cnnpipe.errors import ParamsError
from cnnpipe.params.load import did_you_mean, load_section
from cnnpipe.params.section import Count, Params, Probability


class CropFlipParams(Params):
    """The seeded copies `augment` adds to train: a random crop, then flips."""

    crop_scale: Annotated[float, Field(gt=0.0, le=1.0)]
    flip_horizontal: Probability
    flip_vertical: Probability


class CropViewParams(Params):
    """What views have that hold crops of objects, or whole pictures."""

    source: Literal["objects", "pictures"]
    margin_fraction: Annotated[float, Field(ge=0.0, le=2.0)]
    square: bool
    max_side_px: Annotated[int, Field(ge=8, le=4096)]
    min_side_px: Count
    channels: Literal[1, 3]
    seed: int
    copies: Annotated[int, Field(ge=0, le=100)]
    copy_transform: CropFlipParams


class ClassifyViewParams(CropViewParams):
    """Section `augment.classify`: what classification reads."""


class RegressViewParams(CropViewParams):
    """Section `augment.regress`: what regression reads, pictures with a number each."""

    attribute: Annotated[str, Field(min_length=1)]  # of VIA, that holds the number: of regions, or of files
    # side of a window around the middle of each object, pixels: its size is then seen; left out: its box
    window_px: Annotated[int, Field(ge=8, le=4096)] | None = None


class DetectViewParams(Params):
    """Section `augment.detect`: what detection reads, whole pictures and the boxes in them."""

    max_side_px: Annotated[int, Field(ge=32, le=4096)]
    min_box_side_px: Annotated[float, Field(gt=0.0)]  # in the packed picture
    min_visible_fraction: Probability  # of a box's area that the crop of a copy must leave
    channels: Literal[1, 3]
    seed: int
    copies: Annotated[int, Field(ge=0, le=100)]
    copy_transform: CropFlipParams


class AugmentParams(Params):
    """Section `augment`: one key per view; a project has those that its experiments read."""

    classify: ClassifyViewParams | None = None
    detect: DetectViewParams | None = None
    regress: RegressViewParams | None = None

    @model_validator(mode="after")
    def _there_is_a_view(self) -> Self:
        if self.classify is None and self.detect is None and self.regress is None:
            what = "it has no view; write classify, detect or regress, see the params.yaml of the demo"
            raise ValueError(what)
        return self


ViewParams = ClassifyViewParams | DetectViewParams | RegressViewParams

VIEW_KINDS: Final[Mapping[str, type[ViewParams]]] = MappingProxyType(
    {"classify": ClassifyViewParams, "detect": DetectViewParams, "regress": RegressViewParams}
)


def load_view(path: Path, view: str) -> ViewParams:
    """Return section `augment.<view>` of params.yaml.

    Raises:
        ParamsError: there is no such view, or a value in it is wrong; all faults are named.
    """
    if view not in VIEW_KINDS:
        fix = f"{did_you_mean(view, VIEW_KINDS)}the views are: {', '.join(VIEW_KINDS)}"
        raise ParamsError("view", f"{view!r} is not known", fix)
    return load_section(path, f"augment.{view}", VIEW_KINDS[view])
