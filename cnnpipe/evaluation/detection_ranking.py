"""The detections of each class from the best score to the worst, and which of them find an object.

Shapes: I pictures, K classes, E thresholds of IoU, T detections of a class.
"""

from typing import Final

import msgspec
import numpy as np

from cnnpipe.evaluation.arrays import Bools, Floats, Ints
from cnnpipe.evaluation.matching import NOT_MATCHED, Stacked, match, overlaps, ranks

COCO_IOUS: Final = tuple(np.linspace(0.5, 0.95, 10).tolist())
MAX_PER_PICTURE: Final = 100


class Ranking(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The detections of one class, best score first, those of equal score in the order of their pictures."""

    scores: Floats  # (T,)
    picture: Ints  # (T,)
    is_hit: Bools  # (E, T) finds an object, at each of COCO_IOUS
    truths_in_picture: Ints  # (I,) how many objects of the class

    @property
    def num_truths(self) -> int:
        return int(self.truths_in_picture.sum())


def rank(stacked: Stacked) -> list[Ranking]:
    """Return the ranking of every class; of a picture at most its MAX_PER_PICTURE best of the class count.

    Source: pycocotools, `COCOeval.evaluateImg` and `accumulate`, area range `all`, the largest of `maxDets`.
    """
    num_found = len(stacked.scores)
    pairs = overlaps(stacked, min_iou=COCO_IOUS[0])
    is_hit_EM = np.array([match(pairs, num_found, iou=iou) != NOT_MATCHED for iou in COCO_IOUS])
    order_M = np.argsort(-stacked.scores, kind="stable")
    order_M = order_M[(_positions_in_picture(stacked) < MAX_PER_PICTURE)[order_M]]
    cells_N = stacked.truth_class * stacked.num_pictures + stacked.truth_picture
    truths_KI = np.bincount(cells_N, minlength=stacked.num_classes * stacked.num_pictures)
    rankings = []
    for index, truths_I in enumerate(truths_KI.reshape(stacked.num_classes, stacked.num_pictures)):
        of_class = order_M[stacked.class_index[order_M] == index]
        rankings.append(
            Ranking(
                scores=stacked.scores[of_class],
                picture=stacked.picture[of_class],
                is_hit=is_hit_EM[:, of_class],
                truths_in_picture=truths_I,
            )
        )
    return rankings


def _positions_in_picture(stacked: Stacked) -> Ints:
    """Return 0 for the best detection of its class in its picture, 1 for the next, …: (M,)."""
    key_M = stacked.picture * stacked.num_classes + stacked.class_index
    order_M = np.lexsort((ranks(stacked.scores), key_M))
    first_M = np.searchsorted(key_M[order_M], key_M[order_M], side="left")
    positions_M = np.empty(len(order_M), dtype=np.int64)
    positions_M[order_M] = np.arange(len(order_M)) - first_M
    return positions_M
