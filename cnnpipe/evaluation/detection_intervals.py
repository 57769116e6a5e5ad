"""Confidence intervals of a detector's metrics by bootstrap over groups of pictures.

A detection is matched within its picture, so the matching does not depend on the resample: it is done once,
and a resample only weighs pictures by how often they were drawn. That gives exactly the metrics of a set in
which each picture lies as often as it was drawn, one behind the other.

Shapes: B resamples, I pictures, K classes, E thresholds of IoU, T detections of a class, H of them hits.

Source: see `intervals`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.arrays import Floats, Ints, ratio
from cnnpipe.evaluation.detection_counts import Counts, macro
from cnnpipe.evaluation.detection_ranking import Ranking

_CELLS_AT_ONCE: Final = 4_000_000  # resamples times detections: 32 MB
_LEVELS: Final = np.linspace(0.0, 1.0, 101)  # of recall, as in `coco_average_precision`


def bootstrap_detection(
    rankings: Mapping[str, Ranking], counts: Counts, group_I: Ints, *, num_resamples: int, seed: int
) -> dict[str, Floats]:
    """Return each statistic of every resample, by metric name: (B,); NaN where it is undefined.

    Detectors judged on the same pictures are drawn the same resamples, so the differences of their values are
    those of a paired bootstrap. The names: map_50, map_50_95, ap_50/<class>, f1/<class>, and precision,
    recall and f1 with _micro and _macro.

    Args:
        rankings: of each class, in the order of the class_index.
        counts: of every picture and class, (I, K).
        group_I: number of each picture's group, from 0 without gaps.
        num_resamples: B.
        seed: of the draws.
    """
    blocks = [
        _precisions(rankings, times_BI) | _counted(list(rankings), counts, times_BI)
        for times_BI in intervals.resamples(group_I, num_resamples=num_resamples, seed=seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _precisions(rankings: Mapping[str, Ranking], times_BI: Floats) -> dict[str, Floats]:
    """Return AP per class at an IoU of 0.5, and the means over the classes."""
    ap_KEB = np.array([resampled_average_precision(ranking, times_BI) for ranking in rankings.values()])
    return {
        "map_50": _mean_of_defined(ap_KEB[:, 0]),
        "map_50_95": _mean_of_defined(ap_KEB.mean(axis=1)),
        **{f"ap_50/{label}": ap_EB[0] for label, ap_EB in zip(rankings, ap_KEB, strict=True)},
    }


def resampled_average_precision(ranking: Ranking, times_BI: Floats) -> Floats:
    """Return COCO's AP of one class in every resample at every IoU: (E, B); NaN without an object."""
    truths_B = times_BI @ ranking.truths_in_picture
    rows = max(1, _CELLS_AT_ONCE // max(1, len(ranking.scores)))
    starts = range(0, len(times_BI), rows)
    parts = [_precision_block(ranking, times_BI[start : start + rows]) for start in starts]
    return np.where(truths_B > 0, np.concatenate(parts, axis=1), np.nan)


def _precision_block(ranking: Ranking, times_BI: Floats) -> Floats:
    times_BT = times_BI[:, ranking.picture]
    taken_BT = np.cumsum(times_BT, axis=1)
    truths_B1 = (times_BI @ ranking.truths_in_picture)[:, None]
    return np.array(
        [
            _interpolated(times_BT[:, is_hit_T], taken_BT[:, is_hit_T], truths_B1)
            for is_hit_T in ranking.is_hit
        ]
    )


def _interpolated(times_BH: Floats, taken_BH: Floats, truths_B1: Floats) -> Floats:
    """Return precision interpolated at the levels of recall, averaged: (B,).

    Only hits matter: between two of them precision falls and recall stays. A hit is the first to reach the
    levels between the recall before it and its own, and its interpolated precision is the best from there on.
    """
    hits_BH = np.cumsum(times_BH, axis=1)
    precision_BH = np.nan_to_num(ratio(hits_BH, taken_BH))
    best_BH = np.maximum.accumulate(precision_BH[:, ::-1], axis=1)[:, ::-1]
    recall_BH = np.nan_to_num(ratio(hits_BH, truths_B1))
    reached_BH = np.searchsorted(_LEVELS, recall_BH, side="right")
    return np.asarray((best_BH * np.diff(reached_BH, axis=1, prepend=0)).sum(axis=1) / len(_LEVELS))


def _counted(labels: Sequence[str], counts: Counts, times_BI: Floats) -> dict[str, Floats]:
    drawn = Counts(
        truths=times_BI @ counts.truths, detections=times_BI @ counts.detections, hits=times_BI @ counts.hits
    )
    together, found = drawn.micro, {}
    for name in ("precision", "recall", "f1"):
        found[f"{name}_micro"] = getattr(together, name)[:, 0]
        found[f"{name}_macro"] = macro(getattr(drawn, name), drawn)
    return found | {f"f1/{label}": drawn.f1[:, index] for index, label in enumerate(labels)}


def _mean_of_defined(values_KB: Floats) -> Floats:
    is_defined = np.isfinite(values_KB)
    return ratio(np.where(is_defined, values_KB, 0.0).sum(axis=0), is_defined.sum(axis=0))
