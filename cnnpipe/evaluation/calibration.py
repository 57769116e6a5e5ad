"""Do scores mean what they say: log loss and calibration error.

Shapes: N samples, K classes, M bins. The confidence of a prediction is its highest score.
"""

from typing import Final

import msgspec
import numpy as np

from cnnpipe.evaluation.arrays import Floats, Ints, ratio

NUM_BINS: Final = 15


class Reliability(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Predictions in M bins of equal width of confidence: (0, 1/M], …, ((M−1)/M, 1]."""

    edges: Floats  # (M + 1,)
    count: Ints  # (M,)
    confidence: Floats  # (M,) mean of the bin; NaN where it is empty
    accuracy: Floats  # (M,) share of the bin that is right; NaN where it is empty


def sample_log_losses(truth_N: Ints, scores_NK: Floats) -> Floats:
    """Return −log of the score of the true class, natural logarithm: (N,).

    A score is taken as at least the machine epsilon (2.2e-16): one sure mistake costs 36, not infinity.

    Source: scikit-learn, `log_loss`.
    """
    true_N = scores_NK[np.arange(len(truth_N)), truth_N]
    epsilon = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(true_N, epsilon, 1.0 - epsilon)))


def log_loss(truth_N: Ints, scores_NK: Floats) -> float:
    """Return the mean of −log of the score of the true class (cross entropy)."""
    return float(np.mean(sample_log_losses(truth_N, scores_NK)))


def reliability(truth_N: Ints, scores_NK: Floats, *, num_bins: int = NUM_BINS) -> Reliability:
    """Return confidence and accuracy per bin of confidence."""
    confidence_N, right_N = scores_NK.max(axis=1), scores_NK.argmax(axis=1) == truth_N
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    bin_N = np.clip(np.searchsorted(edges, confidence_N, side="left") - 1, 0, num_bins - 1)
    count_M = np.bincount(bin_N, minlength=num_bins)
    return Reliability(
        edges=edges,
        count=count_M,
        confidence=_bin_means(bin_N, confidence_N, count_M),
        accuracy=_bin_means(bin_N, right_N.astype(np.float64), count_M),
    )


def calibration_error(bins: Reliability) -> float:
    """Return Σ (count / N) |accuracy − confidence| over the bins (ECE), in [0, 1].

    Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 5 (15 bins).
    """
    gap_M = np.nan_to_num(np.abs(bins.accuracy - bins.confidence))
    return float(np.sum(bins.count * gap_M) / np.sum(bins.count))


def _bin_means(bin_N: Ints, values_N: Floats, count_M: Ints) -> Floats:
    return ratio(np.bincount(bin_N, weights=values_N, minlength=len(count_M)), count_M)
