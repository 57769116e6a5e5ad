"""Which samples are worth looking at: confident mistakes, and those on which classifiers differ.

Shapes: N samples, M classifiers.
"""

from collections.abc import Sequence

import numpy as np

from cnnpipe.evaluation.arrays import Scored


def confident_mistakes(scored: Scored, *, limit: int) -> list[int]:
    """Return the positions of wrongly classified samples, the highest score of a wrong class first."""
    wrong = np.flatnonzero(scored.predicted != scored.truth)
    confidence = scored.scores.max(axis=1)[wrong]
    return [int(position) for position in wrong[np.argsort(-confidence, kind="stable")][:limit]]


def telling_samples(judged: Sequence[Scored], *, limit: int) -> list[int]:
    """Return the positions of the samples that tell most about classifiers judged on the same ones.

    First those that some classify rightly and some wrongly, then those that all get wrong, then those all
    get right; within each, the least certain of the truth first, by the mean score of the true class.

    Args:
        judged: at least one; all of the same samples in the same order.
        limit: how many at most.
    """
    truth_N = judged[0].truth
    right_MN = np.array([scored.predicted == truth_N for scored in judged])
    true_MN = np.array([scored.scores[np.arange(len(truth_N)), truth_N] for scored in judged])
    kind_N = np.where(right_MN.all(axis=0), 2, np.where(right_MN.any(axis=0), 0, 1))
    order_N = np.lexsort((true_MN.mean(axis=0), kind_N))
    return [int(position) for position in order_N[:limit]]
