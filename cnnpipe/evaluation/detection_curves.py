"""Precision over recall of a detector for every threshold of its score, and the areas under the curve.

A detection is a true positive when it finds an object at an IoU of 0.5. Recall is of all objects, so that a
curve may end before 1: what has no detection is found at no threshold.

Shapes: I pictures, T points of a curve.

Source: M. Everingham et al., The PASCAL VOC Challenge, IJCV 88 (2010), section 4.2.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from cnnpipe.evaluation import average_precision as areas
from cnnpipe.evaluation.arrays import Floats
from cnnpipe.evaluation.curves import (
    ClassCurves,
    PrecisionRecallCurve,
    RocCurve,
    break_even_point,
    roc_curve,
)
from cnnpipe.evaluation.detection_ranking import Ranking


class AveragePrecisions(msgspec.Struct, frozen=True, kw_only=True):
    """The areas under one class's curve, in [0, 1]."""

    ap_50: float  # COCO: interpolated at recall 0, 0.01, …, 1
    ap_50_95: float  # the same, mean over the IoU thresholds 0.5, 0.55, …, 0.95
    ap_50_all_points: float
    ap_50_11_points: float


def detector_curves(rankings: Sequence[Ranking], classes: Sequence[str]) -> list[ClassCurves]:
    """Return for each class precision over recall of its objects, and the ROC of its presence."""
    return [
        ClassCurves(label=label, precision_recall=precision_recall_of(ranking), roc=presence_roc(ranking))
        for label, ranking in zip(classes, rankings, strict=True)
    ]


def precision_recall_of(ranking: Ranking) -> PrecisionRecallCurve | None:
    """Return precision TP / (TP + FP) over recall TP / objects; None without an object.

    Detections of equal score share one point; of those between two true positives only the first and the last
    are kept, which changes no line. Where a class has fewer detections than objects, there is no break-even
    point (NaN).
    """
    if not ranking.num_truths:
        return None
    hits_T = np.cumsum(ranking.is_hit[0])
    precision_T, recall_T = hits_T / np.arange(1, len(hits_T) + 1), hits_T / ranking.num_truths
    is_last_of_score = np.diff(ranking.scores, append=-np.inf) < 0
    precision_T, recall_T = precision_T[is_last_of_score], recall_T[is_last_of_score]
    rises_T, rises_next_T = np.diff(recall_T, prepend=-1.0) > 0, np.diff(recall_T, append=2.0) > 0
    kept = rises_T | rises_next_T
    return PrecisionRecallCurve(
        threshold=np.append(ranking.scores[is_last_of_score][kept][::-1], np.nan),
        precision=np.append(precision_T[kept][::-1], 1.0),
        recall=np.append(recall_T[kept][::-1], 0.0),
        break_even=break_even_point(ranking.is_hit[0], ranking.scores, num_positives=ranking.num_truths),
    )


def average_precisions(ranking: Ranking) -> AveragePrecisions | None:
    """Return the areas by every tradition; None without an object.

    COCO's are of the ranking, in which detections of equal score follow each other in their order, the others
    of the curve's points, where they count together, so that the order of pictures does not matter.
    """
    curve = precision_recall_of(ranking)
    if curve is None:
        return None
    # the point (0, 1) stands for "nothing detected": it is no point of the ranking
    precision_T, recall_T = curve.precision[-2::-1], curve.recall[-2::-1]
    coco_E = [
        areas.coco_average_precision(
            recall_T=np.cumsum(is_hit_T) / ranking.num_truths,
            precision_T=np.cumsum(is_hit_T) / np.arange(1, len(is_hit_T) + 1),
        )
        for is_hit_T in ranking.is_hit
    ]
    return AveragePrecisions(
        ap_50=coco_E[0],
        ap_50_95=float(np.mean(coco_E)),
        ap_50_all_points=areas.all_points_average_precision(recall_T=recall_T, precision_T=precision_T),
        ap_50_11_points=areas.eleven_point_average_precision(recall_T=recall_T, precision_T=precision_T),
    )


def presence_roc(ranking: Ranking) -> RocCurve | None:
    """Return how well the best score of the class in a picture tells whether the picture shows the class.

    None where every picture does, or none.
    """
    return roc_curve(ranking.truths_in_picture > 0, presence_scores(ranking))


def presence_scores(ranking: Ranking) -> Floats:
    """Return the score of the best detection of the class in each picture, 0 where there is none: (I,)."""
    scores_I = np.zeros(len(ranking.truths_in_picture))
    np.maximum.at(scores_I, ranking.picture, ranking.scores)
    return scores_I
