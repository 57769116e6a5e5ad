"""Pictures that passed the gate, with their labels; and what is to be said of each."""

from collections.abc import Collection, Iterable, Sequence

from cnnpipe.annotations import Finding, LabelledPicture, Picture, found
from cnnpipe.formats.via.labelling import Labelling, labels_by
from cnnpipe.formats.via.labels import labels_of
from cnnpipe.formats.via.review import is_checked
from cnnpipe.params.validate import ValidateParams


def check_pictures(
    pictures: Iterable[Picture], annotated: Collection[str], labelling: Labelling, params: ValidateParams
) -> tuple[list[LabelledPicture], list[Finding]]:
    """Return the pictures with their labels, and what is to be said of each by itself.

    Args:
        pictures: as ingested.
        annotated: the image_ids of those that have a region.
        labelling: of whole pictures.
        params: section `validate`.
    """
    labelled: list[LabelledPicture] = []
    findings: list[Finding] = []
    for picture in pictures:
        labels = labels_by(labelling, picture.file_attributes)
        findings += _check_labels(picture, labels, labelling)
        findings += _check_contrast(picture, params.blank_contrast)
        is_annotated = picture.image_id in annotated
        is_pending = not is_annotated and _is_pending(picture, params)
        if not is_annotated:
            findings.append(_bare(picture, is_pending=is_pending))
        label = labels[0] if len(labels) == 1 else None
        labelled.append(_to_labelled(picture, label, is_annotated=is_annotated, is_pending=is_pending))
    return labelled, findings


def _check_labels(picture: Picture, labels: Sequence[str], labelling: Labelling) -> list[Finding]:
    if labelling.attribute is None or len(labels) == 1:
        return []
    what = f"{labelling.attribute!r} has {'several values' if labels else 'no value'}"
    if not labels and (spelled := labels_of(picture.file_attributes.get(labelling.attribute))):
        what = f"{labelling.attribute!r} is {', '.join(spelled)}, which validate.label_map leaves out"
    return [found("image-label-missing", picture.image_id, what, "give it one value in VIA")]


def _check_contrast(picture: Picture, least: float) -> list[Finding]:
    if picture.contrast is None or picture.contrast >= least:
        return []
    what = f"shows next to nothing: its grey levels differ by {picture.contrast:g} of 255"
    fix = "look at it; take it out of the annotations if there is nothing to be seen"
    return [found("picture-blank", picture.image_id, what, fix)]


def _is_pending(picture: Picture, params: ValidateParams) -> bool:
    """Whether a picture without regions is yet to be annotated: no person has looked for objects in it."""
    return params.without_regions == "unannotated" and not is_checked(picture.file_attributes)


def _bare(picture: Picture, *, is_pending: bool) -> Finding:
    fix = "annotate it, if something is to be seen"
    if is_pending:
        what = "has no region, so it is not yet annotated (validate.without_regions): no detector sees it"
        return found("picture-unannotated", picture.image_id, what, fix)
    what = "has no region, so it shows no object (validate.without_regions)"
    return found("picture-empty", picture.image_id, what, fix)


def _to_labelled(
    picture: Picture, label: str | None, *, is_annotated: bool, is_pending: bool
) -> LabelledPicture:
    return LabelledPicture(
        image_id=picture.image_id,
        width=picture.width,
        height=picture.height,
        sha256=picture.sha256,
        perceptual_hash=picture.perceptual_hash,
        label=label,
        is_annotated=is_annotated,
        file_attributes=picture.file_attributes,
        is_pending=is_pending,
    )
