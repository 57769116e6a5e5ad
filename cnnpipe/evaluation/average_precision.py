"""Interpolated average precision of a ranking, in its three traditions.

Shapes: T points of a ranking, best-scored first; recall never falls. In each, precision at a recall r is
interpolated as the best precision at any recall of at least r: max_{k'≥k} P(k').
"""

import numpy as np

from cnnpipe.evaluation.arrays import Floats


def all_points_average_precision(*, recall_T: Floats, precision_T: Floats) -> float:
    """Return the area under the interpolated curve, Σ max_{k'≥k} P(k') Δr(k).

    Source: M. Everingham et al., The PASCAL VOC Challenge: A Retrospective, IJCV 111 (2015), as of VOC 2010.
    """
    steps_T = np.diff(recall_T, prepend=0.0)
    return float(np.sum(steps_T * _envelope(precision_T)))


def eleven_point_average_precision(*, recall_T: Floats, precision_T: Floats) -> float:
    """Return the mean interpolated precision at recall 0, 0.1, …, 1.

    The levels are quotients: what `linspace` gives for 0.3 is above it, and a recall of 3/10 would miss it.

    Source: M. Everingham et al., The PASCAL VOC Challenge, IJCV 88 (2010), section 4.2, as of VOC 2007.
    """
    return _mean_at(np.arange(11) / 10, recall_T, precision_T)


def coco_average_precision(*, recall_T: Floats, precision_T: Floats) -> float:
    """Return the mean interpolated precision at recall 0, 0.01, …, 1.

    Source: pycocotools, `COCOeval.accumulate` with `recThrs` of 101 points.
    """
    return _mean_at(np.linspace(0.0, 1.0, 101), recall_T, precision_T)


def _mean_at(levels: Floats, recall_T: Floats, precision_T: Floats) -> float:
    """Average the envelope at recall `levels`; beyond the last recall it is 0."""
    envelope = np.append(_envelope(precision_T), 0.0)
    return float(np.mean(envelope[np.searchsorted(recall_T, levels, side="left")]))


def _envelope(precision_T: Floats) -> Floats:
    """Return at each point the best precision from there on."""
    return np.asarray(np.maximum.accumulate(precision_T[::-1])[::-1])
