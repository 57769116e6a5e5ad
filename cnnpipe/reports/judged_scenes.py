"""Pictures of a detection set with the truth beside what detectors say, from their predictions."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from cnnpipe.evaluation.detection_counts import Reported
from cnnpipe.evaluation.detection_faults import detection_kinds, object_kinds
from cnnpipe.evaluation.matching import NOT_MATCHED
from cnnpipe.evaluation.predictions import DetectPrediction
from cnnpipe.reports.scenes import Marked


class Answers(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What one detector says of every picture, ready to be drawn: a list of boxes per picture."""

    truths: list[list[Marked]]
    reported: list[list[Marked]]


def answers_of(predictions: Sequence[DetectPrediction], said: Reported) -> Answers:
    """Return the boxes of objects and of reported detections, each with its kind.

    Args:
        predictions: of every picture.
        said: what was reported of them.
    """
    objects = [one for prediction in predictions for one in prediction.objects]
    detections = [one for prediction in predictions for one in prediction.detections]
    truths: list[list[Marked]] = [[] for _ in predictions]
    for picture, one, kind in zip(
        said.stacked.truth_picture.tolist(), objects, object_kinds(said), strict=True
    ):
        truths[picture].append(Marked(kind=kind, label=one.label, box=one.box))
    boxes: list[list[Marked]] = [[] for _ in predictions]
    rows = zip(
        said.stacked.picture.tolist(),
        said.position.tolist(),
        said.confused.tolist(),
        detection_kinds(said),
        strict=True,
    )
    for picture, position, confused, kind in rows:
        found = detections[position]
        truth = objects[confused].label if confused != NOT_MATCHED else None
        boxes[picture].append(
            Marked(kind=kind, label=found.label, box=found.box, score=found.score, truth=truth)
        )
    return Answers(truths=truths, reported=boxes)


def said_of(truths: Sequence[Marked], reported: Sequence[Marked]) -> str:
    """Return what is right and wrong with a picture in words, e.g. "2 of 3 objects found, 1 missed"."""
    counts = Counter(mark.kind for mark in truths)
    num_alarms = sum(mark.kind == "false alarm" for mark in reported)
    parts = [f"{counts['found']} of {len(truths)} object{'' if len(truths) == 1 else 's'} found"]
    parts += [f"{counts[kind]} {kind}" for kind in ("missed", "wrong class") if counts[kind]]
    if num_alarms:
        parts.append(f"{num_alarms} false alarm{'' if num_alarms == 1 else 's'}")
    return ", ".join(parts if truths else ["no object", *parts[1:]])
