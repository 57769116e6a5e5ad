"""Every number that is reported of a regressor, under its flat name: mae, mse, rmse, r2, and their intervals.

Errors are in the unit of the attribute, mse in its square. What is undefined is absent: JSON has no NaN.

Shapes: N samples, B resamples.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.arrays import Floats, Ints
from cnnpipe.evaluation.predictions import ValuePrediction

REGRESSION_METRICS: Final = ("mae", "mse", "rmse", "r2")


class Valued(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Truth and prediction of N samples, in the unit of the attribute."""

    truth: Floats  # (N,)
    predicted: Floats  # (N,)
    group: Ints  # (N,) number of the sample's group, from 0 without gaps

    @property
    def error(self) -> Floats:
        """Prediction minus truth, (N,): positive where too much was predicted."""
        return self.predicted - self.truth


def stack_values(predictions: Sequence[ValuePrediction]) -> Valued:
    """Return the predictions as arrays, in their order; there may be none."""
    groups = np.array([prediction.group for prediction in predictions], dtype=np.str_)
    return Valued(
        truth=np.array([prediction.truth for prediction in predictions], dtype=np.float64),
        predicted=np.array([prediction.value for prediction in predictions], dtype=np.float64),
        group=np.unique(groups, return_inverse=True)[1].astype(np.int64),
    )


def errors_of(truth_N: Floats, predicted_N: Floats) -> dict[str, float]:
    """Return mae, mse, rmse, and r2 where it is defined, of at least one sample.

    mae = Σ |ŷ - y| / N; mse = Σ (ŷ - y)² / N; rmse = √mse; r2 = 1 - Σ (ŷ - y)² / Σ (y - ȳ)², with ȳ the mean
    of the truths. r2 is 1 where all is right and 0 where nothing is gained over ȳ; where all truths are equal
    it is undefined.

    Source: Draper, Smith 1998, Applied Regression Analysis, section 1.3; scikit-learn, `r2_score`.
    """
    every_1N = np.ones((1, len(truth_N)))
    found = _statistics(truth_N, predicted_N - truth_N, every_1N)
    return {name: float(value_1[0]) for name, value_1 in found.items() if math.isfinite(value_1[0])}


def regression_metrics(
    valued: Valued, *, seed: int, num_resamples: int, confidence: float
) -> dict[str, float]:
    """Return every metric that is defined, by name; intervals where there are two groups at least.

    Args:
        valued: at least one sample.
        seed: of the bootstrap.
        num_resamples: of the bootstrap.
        confidence: share of the resamples inside an interval, e.g. 0.95.
    """
    found = errors_of(valued.truth, valued.predicted)
    if intervals.has_intervals(valued.group):
        drawn = bootstrap_errors(valued, num_resamples=num_resamples, seed=seed)
        defined = {name: values_B for name, values_B in drawn.items() if name in found}
        found |= intervals.interval_ends(defined, confidence=confidence)
    return found


def bootstrap_errors(valued: Valued, *, num_resamples: int, seed: int) -> dict[str, Floats]:
    """Return each metric of every resample, (B,); NaN where r2 is undefined. Resamples as of classifiers."""
    blocks = [
        _statistics(valued.truth, valued.error, times_BN)
        for times_BN in intervals.resamples(valued.group, num_resamples=num_resamples, seed=seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in REGRESSION_METRICS}


def undefined_value_notes(valued: Valued) -> list[str]:
    """Return one sentence for each reason why metrics are absent; it begins in lower case."""
    notes = []
    if len(set(valued.truth.tolist())) == 1:
        notes.append(f"the truth is {valued.truth[0]:g} everywhere: R² is undefined.")
    if not intervals.has_intervals(valued.group):
        notes.append("all samples belong to one group: there are no confidence intervals.")
    return notes


def _statistics(truth_N: Floats, error_N: Floats, times_BN: Floats) -> dict[str, Floats]:
    """Return the metrics of each resample; `times_BN` is how often it contains each sample."""
    size_B = times_BN.sum(axis=1)
    mse_B = (times_BN @ error_N**2) / size_B
    return {
        "mae": (times_BN @ np.abs(error_N)) / size_B,
        "mse": mse_B,
        "rmse": np.sqrt(mse_B),
        "r2": _r2(truth_N, mse_B, times_BN),
    }


def _r2(truth_N: Floats, mse_B: Floats, times_BN: Floats) -> Floats:
    size_B = times_BN.sum(axis=1)
    from_mean_N = truth_N - truth_N.mean()  # a large common part would cost digits
    mean_B = (times_BN @ from_mean_N) / size_B
    variance_B = (times_BN * (from_mean_N - mean_B[:, None]) ** 2).sum(axis=1) / size_B
    is_in_BN = times_BN > 0
    # equal truths have a variance of 0 but for rounding, so it is not asked
    least_B = np.where(is_in_BN, truth_N, np.inf).min(axis=1)
    is_defined_B = (np.where(is_in_BN, truth_N, -np.inf).max(axis=1) > least_B) & (variance_B > 0)
    return np.asarray(1.0 - np.divide(mse_B, variance_B, out=np.full_like(mse_B, np.nan), where=is_defined_B))
