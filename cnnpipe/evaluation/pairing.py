"""Two experiments on the same test samples: the paired bootstrap of their difference.

Shapes: B resamples, N samples or objects.
"""

from collections.abc import Mapping

import msgspec

from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.arrays import Bools, Floats
from cnnpipe.evaluation.comparison import Measured, measured
from cnnpipe.evaluation.promotion import Contest


class Resampled(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What one experiment says of test, as far as others are compared with it."""

    metric: Floats  # of every resample, (B,); drawn alike for all that were judged on the same samples
    # of every sample or object, (N,), in one order for the same data: is it right, or how small is its error
    merit: Bools | Floats
    num_samples: int  # that the bootstrap draws from
    has_intervals: bool  # there are two groups at least


def difference_of(first: Resampled, second: Resampled, *, value: float, confidence: float) -> Measured:
    """Return the difference of two experiments that were judged on the same samples, with its interval.

    Args:
        first: what the difference is counted from.
        second: what is taken away.
        value: the difference of the metric itself, on all samples.
        confidence: share of the resamples inside the interval.
    """
    interval = None
    if first.has_intervals:
        interval = intervals.percentile_interval(first.metric - second.metric, confidence=confidence)
    return Measured(
        value=value,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
    )


def contest_of(  # noqa: PLR0913 (each of two models, on two splits)
    metric: str,
    *,
    val: Mapping[str, float],
    test: Mapping[str, float],
    candidate: Mapping[str, float],
    resampled: tuple[Resampled, Resampled],
    confidence: float,
) -> Contest:
    """Return an older champion beside a candidate that was judged on the same data.

    Args:
        metric: that decides.
        val: metrics of the champion.
        test: the same, on test.
        candidate: metrics.json of the candidate.
        resampled: the candidate and the champion on test.
        confidence: share of the resamples inside the interval.
    """
    difference = None
    if (name := f"test/{metric}") in candidate and metric in test:
        value = candidate[name] - test[metric]
        difference = difference_of(*resampled, value=value, confidence=confidence)
    return Contest(val=measured(val, metric), test=measured(test, metric), difference=difference)
