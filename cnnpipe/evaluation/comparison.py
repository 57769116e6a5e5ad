"""What a comparison of experiments says: the content of comparison/compare.json."""

from collections.abc import Mapping

import msgspec

COMPARISON_FILE = "compare.json"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with its interval; the ends are None where there is none."""

    value: float
    ci_low: float | None = None
    ci_high: float | None = None


class ComparedExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment among those of its task."""

    name: str
    task: str
    network: str
    num_parameters: int
    best_epoch: int  # from 1
    stop_reason: str
    data_sha256: str  # of the view it was trained and judged on
    metric: str  # what val and test are, e.g. "accuracy"
    val: Measured | None  # None: the metric is undefined there
    test: Measured | None
    # by the metric on val, 1 is best, of errors the smallest; equal values share one; None: no value on val
    rank: int | None


class PairedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two experiments on the same test samples, by paired bootstrap over groups."""

    task: str
    metric: str
    first: str  # of the two, the one of better rank
    second: str
    difference: Measured  # first minus second
    only_first_right: int  # test samples that only the first has right; of regressors, where it errs less
    only_second_right: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Every experiment, by task and rank, and every pair that can be compared."""

    experiments: list[ComparedExperiment]
    pairs: list[PairedDifference]
    notes: list[str]  # what was not compared, and why


def measured(metrics: Mapping[str, float], name: str) -> Measured | None:
    """Return a metric of metrics.json with its interval; None where it is undefined."""
    if name not in metrics:
        return None
    return Measured(
        value=metrics[name],
        ci_low=metrics.get(f"{name}/ci_low"),
        ci_high=metrics.get(f"{name}/ci_high"),
    )
