"""Section `validate`: what is the class, what is dropped, what is looked at, what is too much."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from cnnpipe.params.section import Params, Probability


def _with_text_keys(value: Any) -> Any:
    """Return a mapping with texts for keys: YAML reads `3: pen` as a number, and VIA holds texts."""
    return {_to_text(key): each for key, each in value.items()} if isinstance(value, dict) else value


def _to_text(key: Any) -> str:
    text = str(key).strip()
    return text.lower() if isinstance(key, bool) else text


def _tidied(value: dict[str, str | None]) -> dict[str, str | None]:
    tidy = {spelling: None if label is None else label.strip() for spelling, label in value.items()}
    blank = [spelling for spelling, label in tidy.items() if label == ""]
    if blank:
        raise ValueError(f"no class for {', '.join(map(repr, blank))}; null leaves it out")
    return tidy


# Not blank, and without blanks around it
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# Labels are compared without blanks around them, so these have none either.
LabelMap = Annotated[dict[str, str | None], BeforeValidator(_with_text_keys), AfterValidator(_tidied)]


class ValidateParams(Params):
    """Section `validate`. `limits` are fractions of pictures or regions, by code of finding."""

    label_attribute: str
    image_label_attribute: str | None
    label_text: Literal["id", "description"]
    label_map: LabelMap  # None: what is spelled so is left out
    default_label: Label | None  # None: a region without a label is left out
    several_labels: Literal["leave_out", "one_object_each"]
    without_regions: Literal["negative", "unannotated"]
    polyline_as_outline: bool
    min_side_px: Annotated[float, Field(gt=0)]
    huge_box_fraction: Annotated[float, Field(gt=0, le=1)]
    repeated_box_iou: Annotated[float, Field(gt=0, le=1)]
    near_duplicate_bits: Annotated[int, Field(ge=-1, le=16)]
    blank_contrast: Annotated[float, Field(ge=0, le=255)]
    imbalance_ratio: Annotated[float, Field(ge=1)]
    limits: dict[str, Probability]
