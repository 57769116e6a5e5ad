"""Which detection finds which object: COCO's greedy matching by intersection over union.

Shapes: N objects, M detections, P pairs of a detection and an object.

Within a picture, and a class where classes are told apart, the best-scored detection chooses first: of the
objects that are still free, the one that it overlaps most, if by the wanted IoU at least. Because of that
order a match never depends on detections of lower score, so one matching serves every score threshold.

Source: pycocotools, `COCOeval.evaluateImg`; T.-Y. Lin et al., Microsoft COCO, ECCV 2014.
"""

from typing import Final

import msgspec
import numpy as np

from cnnpipe.evaluation.arrays import Floats, Ints

NOT_MATCHED: Final = -1
_PAIRS_AT_ONCE: Final = 2_000_000  # 64 MB of boxes


class Stacked(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The objects and detections of many pictures in flat arrays."""

    num_pictures: int
    num_classes: int
    truth_picture: Ints  # (N,) number of the picture, from 0
    truth_class: Ints  # (N,) class_index
    truth_boxes: Floats  # (N, 4) xyxy, pixels
    picture: Ints  # (M,) the same of detections
    class_index: Ints  # (M,)
    boxes: Floats  # (M, 4)
    scores: Floats  # (M,) in [0, 1]


class Overlaps(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Pairs that overlap, in the order in which the matching asks them."""

    detection: Ints  # (P,) position among the detections
    truth: Ints  # (P,) position among the objects
    iou: Floats  # (P,) in (0, 1]


def overlaps(stacked: Stacked, *, min_iou: float, across_classes: bool = False) -> Overlaps:
    """Return the pairs of one picture, and of one class unless `across_classes`, of `min_iou` at least.

    Detections come best score first, those of equal score in their order; the objects of each come
    best IoU first, of equal IoU the last (as in pycocotools).
    """
    truth_key_N, key_M = stacked.truth_picture, stacked.picture
    if not across_classes:
        truth_key_N = truth_key_N * stacked.num_classes + stacked.truth_class
        key_M = key_M * stacked.num_classes + stacked.class_index
    by_key = np.argsort(truth_key_N, kind="stable")
    first_M = np.searchsorted(truth_key_N[by_key], key_M, side="left")
    count_M = np.searchsorted(truth_key_N[by_key], key_M, side="right") - first_M
    parts = []
    for block in _blocks(count_M):
        detection_P = np.repeat(block, count_M[block])
        within_P = np.arange(len(detection_P)) - np.repeat(_starts(count_M[block]), count_M[block])
        truth_P = by_key[first_M[detection_P] + within_P]
        iou_P = _iou(stacked.boxes[detection_P], stacked.truth_boxes[truth_P])
        kept = iou_P >= min_iou
        parts.append((detection_P[kept], truth_P[kept], iou_P[kept]))
    detection_P, truth_P, iou_P = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((-truth_P, -iou_P, ranks(stacked.scores)[detection_P]))
    return Overlaps(detection=detection_P[order], truth=truth_P[order], iou=iou_P[order])


def match(pairs: Overlaps, num_detections: int, *, iou: float = 0.5) -> Ints:
    """Return for each detection the object it finds, or NOT_MATCHED: (M,).

    Args:
        pairs: of `overlaps` with a `min_iou` of at most `iou`.
        num_detections: M.
        iou: overlap from which a detection may find an object; each object is found once.
    """
    object_of: dict[int, int] = {}
    is_taken: set[int] = set()
    enough = pairs.iou >= min(iou, 1 - 1e-10)
    for detection, truth in zip(pairs.detection[enough].tolist(), pairs.truth[enough].tolist(), strict=True):
        if detection not in object_of and truth not in is_taken:
            object_of[detection] = truth
            is_taken.add(truth)
    matched_M = np.full(num_detections, NOT_MATCHED, dtype=np.int64)
    matched_M[list(object_of)] = list(object_of.values())
    return matched_M


def unmatched_pairs(pairs: Overlaps, object_of_M: Ints) -> Overlaps:
    """Return the pairs of detections that found nothing with objects that nothing found."""
    is_free = ~np.isin(pairs.truth, object_of_M) & (object_of_M[pairs.detection] == NOT_MATCHED)
    return Overlaps(detection=pairs.detection[is_free], truth=pairs.truth[is_free], iou=pairs.iou[is_free])


def ranks(scores_M: Floats) -> Ints:
    """Return 0 for the best score, 1 for the next, …; equal ones in their order: (M,)."""
    ranks_M = np.empty(len(scores_M), dtype=np.int64)
    ranks_M[np.argsort(-scores_M, kind="stable")] = np.arange(len(scores_M))
    return ranks_M


def _blocks(count_M: Ints) -> list[Ints]:
    """Return the positions of the detections in blocks of bounded numbers of pairs."""
    block_M = np.cumsum(count_M) // _PAIRS_AT_ONCE
    return np.split(np.arange(len(count_M)), np.flatnonzero(np.diff(block_M)) + 1)


def _starts(count_M: Ints) -> Ints:
    return np.cumsum(count_M) - count_M


def _iou(boxes_P4: Floats, others_P4: Floats) -> Floats:
    """Return the IoU of each box with its partner, in [0, 1]: (P,); from sizes, as in pycocotools."""
    sizes_P2, other_sizes_P2 = boxes_P4[:, 2:] - boxes_P4[:, :2], others_P4[:, 2:] - others_P4[:, :2]
    high_P2 = np.minimum(boxes_P4[:, :2] + sizes_P2, others_P4[:, :2] + other_sizes_P2)
    overlap_P = (high_P2 - np.maximum(boxes_P4[:, :2], others_P4[:, :2])).clip(min=0).prod(axis=1)
    return np.asarray(overlap_P / (sizes_P2.prod(axis=1) + other_sizes_P2.prod(axis=1) - overlap_P))
