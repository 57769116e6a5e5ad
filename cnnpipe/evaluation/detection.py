"""What a detector found beside what is there: COCO's twelve numbers, and the thresholds of best F1.

Shapes: N objects and M detections of a picture, K classes.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import hotcoco
import numpy as np

from cnnpipe.errors import DataError
from cnnpipe.evaluation.arrays import Floats, Ints
from cnnpipe.evaluation.matching import NOT_MATCHED, Stacked, match, overlaps
from cnnpipe.evaluation.predictions import DetectPrediction
from cnnpipe.geometry.boxes import Box

DEFAULT_THRESHOLD: Final = 0.5

# hotcoco's names -> ours, in pycocotools' order of `stats`
COCO_NAMES: Final = MappingProxyType(
    {
        "AP": "map_50_95",
        "AP50": "map_50",
        "AP75": "map_75",
        "APs": "map_small",
        "APm": "map_medium",
        "APl": "map_large",
        "AR1": "ar_1",
        "AR10": "ar_10",
        "AR100": "ar_100",
        "ARs": "ar_small",
        "ARm": "ar_medium",
        "ARl": "ar_large",
    }
)


class Judged(NamedTuple):
    """One picture: the objects in it, and what a detector found. Boxes are xyxy, pixels, of positive area."""

    truth_boxes_N4: Floats
    truth_class_N: Ints  # class_index
    boxes_M4: Floats  # in any order; where scores are equal, the first counts as the better
    scores_M: Floats  # in [0, 1]
    class_M: Ints  # class_index


def coco_numbers(pictures: Sequence[Judged], *, num_classes: int) -> dict[str, float]:
    """Return COCO's twelve numbers, each in [0, 1]; one that is undefined is absent.

    AP is the mean over classes with objects of precision interpolated at recall 0, 0.01, …, 1; AR is the
    recall that so many detections per picture and class reach. `map_50` is AP at an IoU of 0.5, `map_75` at
    0.75; the others are means over 0.5, 0.55, …, 0.95. Small is an area below 32², large one above 96² px; an
    object's area is that of its box.

    Args:
        pictures: in an order that decides between equal scores.
        num_classes: K.

    Source: pycocotools, `COCOeval.summarize`; hotcoco computes the same numbers.
    """
    if not pictures:
        return {}
    stacked = stack(pictures, num_classes=num_classes)
    truth = hotcoco.COCO.from_arrays(
        [{"id": number} for number in range(1, len(pictures) + 1)],
        [{"id": number, "name": str(number)} for number in range(1, num_classes + 1)],
        stacked.truth_picture + 1,
        stacked.truth_class + 1,
        xywh(stacked.truth_boxes),
    )
    columns = (stacked.picture + 1, xywh(stacked.boxes), stacked.scores, stacked.class_index + 1)
    evaluation = hotcoco.COCOeval(truth, truth.load_res(np.column_stack(columns)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summary_lines()  # `summarize` prints
    values = zip(evaluation.metric_keys(), evaluation.stats, strict=True)
    return {COCO_NAMES[name]: float(value) for name, value in values if value >= 0}


def best_f1_thresholds(pictures: Sequence[Judged], *, num_classes: int) -> list[float]:
    """Return for each class the score from which detections give the best F1 = 2 TP / (2 TP + FP + FN): (K,).

    A detection is a TP when it finds an object at an IoU of 0.5. Of thresholds with equal F1 the highest is
    returned, and where none has an F1 above 0 (no object, no detection, no match) DEFAULT_THRESHOLD.
    """
    stacked = stack(pictures, num_classes=num_classes)
    is_hit_M = match(overlaps(stacked, min_iou=0.5), len(stacked.scores)) != NOT_MATCHED
    sizes_K = np.bincount(stacked.truth_class, minlength=num_classes)
    thresholds = []
    for index in range(num_classes):
        of_class = stacked.class_index == index
        order = np.argsort(-stacked.scores[of_class], kind="stable")
        scores_T = stacked.scores[of_class][order]
        hits_T = np.cumsum(is_hit_M[of_class][order])
        # a threshold takes all detections of its score: only the last of equal ones is a point
        is_point_T = np.diff(scores_T, append=-np.inf) < 0
        f1_T = np.where(is_point_T, 2 * hits_T / (np.arange(1, len(hits_T) + 1) + sizes_K[index]), 0.0)
        has_best = len(f1_T) > 0 and f1_T.max() > 0
        thresholds.append(float(scores_T[f1_T.argmax()]) if has_best else DEFAULT_THRESHOLD)
    return thresholds


def judged_of(predictions: Sequence[DetectPrediction], classes: Sequence[str]) -> list[Judged]:
    """Return the predictions as arrays, in their order.

    Raises:
        DataError: an object or a detection is of a class that is not among `classes`.
    """
    index_of = {label: index for index, label in enumerate(classes)}
    for prediction in predictions:
        labels = {one.label for one in prediction.objects} | {one.label for one in prediction.detections}
        for label in sorted(labels - index_of.keys()):
            raise DataError(
                prediction.image_id,
                f"label {label!r} does not fit the classes {', '.join(classes)}",
                "run evaluate again for this experiment",
            )
    return [
        Judged(
            truth_boxes_N4=_corners([one.box for one in prediction.objects]),
            truth_class_N=np.array([index_of[one.label] for one in prediction.objects], dtype=np.int64),
            boxes_M4=_corners([one.box for one in prediction.detections]),
            scores_M=np.array([one.score for one in prediction.detections], dtype=np.float64),
            class_M=np.array([index_of[one.label] for one in prediction.detections], dtype=np.int64),
        )
        for prediction in predictions
    ]


def stack(pictures: Sequence[Judged], *, num_classes: int) -> Stacked:
    """Return the boxes of all pictures in flat arrays, in their order."""
    num_truths = [len(picture.truth_class_N) for picture in pictures]
    num_found = [len(picture.class_M) for picture in pictures]
    numbers = np.arange(len(pictures))
    return Stacked(
        num_pictures=len(pictures),
        num_classes=num_classes,
        truth_picture=np.repeat(numbers, num_truths),
        truth_class=_ints([picture.truth_class_N for picture in pictures]),
        truth_boxes=_floats([picture.truth_boxes_N4 for picture in pictures]).reshape(-1, 4),
        picture=np.repeat(numbers, num_found),
        class_index=_ints([picture.class_M for picture in pictures]),
        boxes=_floats([picture.boxes_M4 for picture in pictures]).reshape(-1, 4),
        scores=_floats([picture.scores_M for picture in pictures]),
    )


def xywh(boxes_N4: Floats) -> Floats:
    """Return xyxy boxes as COCO writes them: left, top, width, height."""
    return np.column_stack([boxes_N4[:, :2], boxes_N4[:, 2:] - boxes_N4[:, :2]])


def _ints(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _floats(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.empty(0, np.float64), *(part.ravel() for part in parts)])


def _corners(boxes: Sequence[Box]) -> Floats:
    corners = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes]
    return np.array(corners, dtype=np.float64).reshape(-1, 4)
