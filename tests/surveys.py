"""Surveys of data that does not exist, for what is decided by one."""

from collections.abc import Sequence
from typing import Any

from cnnpipe.annotations import Finding, LabelledObject, LabelledPicture
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Rect
from cnnpipe.params.validate import ValidateParams
from cnnpipe.projects.survey import LabelChoice, Survey, Task


def a_gate(**changes: Any) -> ValidateParams:
    """Return section `validate` as the demo has it, the attribute and the limits apart, with changes."""
    usual: dict[str, Any] = {
        "label_attribute": "class",
        "image_label_attribute": None,
        "label_text": "id",
        "label_map": {},
        "default_label": None,
        "several_labels": "leave_out",
        "without_regions": "negative",
        "polyline_as_outline": True,
        "min_side_px": 3.0,
        "huge_box_fraction": 0.95,
        "repeated_box_iou": 0.9,
        "near_duplicate_bits": 4,
        "blank_contrast": 2.0,
        "imbalance_ratio": 20.0,
        "limits": {},
    }
    return ValidateParams(**(usual | changes))


def a_survey(
    task: Task = "detect",
    *,
    num_pictures: int = 50,
    num_empty: int = 0,
    side_px: int = 1000,
    object_px: float = 250.0,
    folders: Sequence[str] = ("",),
    source: str = "objects",
    label: str = "class",
    findings: Sequence[Finding] = (),
    gate: ValidateParams | None = None,
) -> Survey:
    """Return a survey of square pictures with two square objects each, of classes a and b.

    Args:
        task: of the survey.
        num_pictures: dealt to `folders` in turn; the last `num_empty` have no object.
        num_empty: see above.
        side_px: of a picture.
        object_px: side of an object.
        folders: "train/" and the like.
        source: objects, or pictures: then every picture has class a or b.
        label: the attribute with the class.
        findings: what was noticed.
        gate: by which it passed; None: that of `a_gate`.
    """
    pictures = [
        LabelledPicture(
            image_id=f"{folders[number % len(folders)]}{number:04d}.png",
            width=side_px,
            height=side_px,
            sha256=str(number),
            perceptual_hash="",
            label="ab"[number % 2] if source == "pictures" else None,
            is_annotated=number < num_pictures - num_empty,
            file_attributes={},
        )
        for number in range(num_pictures)
    ]
    objects = [
        LabelledObject(
            image_id=picture.image_id,
            region=region,
            label="ab"[region],
            box=Box(0.0, 0.0, object_px, object_px),
            shape=Rect(0.0, 0.0, object_px, object_px),
            attributes={},
        )
        for picture in pictures[: num_pictures - num_empty]
        for region in range(2)
    ]
    choice = LabelChoice(
        attribute=label, source="pictures" if source == "pictures" else "objects", why="guessed"
    )
    return Survey(
        task=task,
        label=choice,
        gate=gate or a_gate(),
        bare_why=f"{num_empty} of {num_pictures} pictures have no region",
        described={},
        num_named=num_pictures,
        num_regions=len(objects),
        pictures=pictures,
        objects=objects if source == "objects" else [],
        findings=findings,
    )
