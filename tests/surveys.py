"""Surveys of data that does not exist, for what is decided by one."""

from collections.abc import Sequence

from cnnpipe.annotations import Finding, LabelledObject, LabelledPicture
from cnnpipe.geometry.boxes import Box
from cnnpipe.projects.survey import LabelChoice, Survey, Task


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
            outline=None,
            attributes={},
        )
        for picture in pictures[: num_pictures - num_empty]
        for region in range(2)
    ]
    return Survey(
        task=task,
        label=LabelChoice(
            attribute=label, source="pictures" if source == "pictures" else "objects", why="guessed"
        ),
        num_named=num_pictures,
        num_regions=len(objects),
        pictures=pictures,
        objects=objects if source == "objects" else [],
        findings=findings,
    )
