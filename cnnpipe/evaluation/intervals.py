"""Confidence intervals by bootstrap over groups of samples.

Samples of one group (e.g. the objects of one picture) are not independent, so whole groups are drawn, with
replacement, as many as there are. A resample is held as how often it contains each sample, and every
statistic is computed for a block of resamples at once.

Shapes: B resamples, N samples, K classes, G groups.

Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval);
C. Field, A. Welsh, Bootstrapping clustered data, JRSS B 69 (2007) (drawing whole groups).
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from cnnpipe.evaluation import confusion as counts
from cnnpipe.evaluation.arrays import Bools, Floats, Ints, Scored, ratio
from cnnpipe.evaluation.calibration import sample_log_losses
from cnnpipe.seeding import seed_of

_BLOCK_CELLS: Final = 2_000_000  # resamples times samples held at once: 16 MB


class Interval(msgspec.Struct, frozen=True):
    """A confidence interval, both ends included."""

    low: float
    high: float


def bootstrap(scored: Scored, *, num_resamples: int, seed: int) -> dict[str, Floats]:
    """Return each statistic of every resample, by metric name: (B,); NaN where it is undefined.

    Two classifiers judged on the same samples are drawn the same resamples, so the differences of their
    values are those of a paired bootstrap. The names: accuracy, precision_macro, recall_macro, f1_macro,
    f1_weighted, roc_auc_macro, log_loss, and f1/<class>.
    """
    blocks = [
        _statistics(scored, times_BN)
        for times_BN in resamples(scored.group, num_resamples=num_resamples, seed=seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def percentile_interval(values_B: Floats, *, confidence: float) -> Interval | None:
    """Return the central `confidence` share of the values, undefined ones left out; None if none is left."""
    defined = values_B[np.isfinite(values_B)]
    if not len(defined):
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Interval(low=float(low), high=float(high))


def interval_ends(values: Mapping[str, Floats], *, confidence: float) -> dict[str, float]:
    """Return `<name>/ci_low` and `<name>/ci_high` of each statistic that has an interval.

    Args:
        values: name -> the statistic of every resample, (B,).
        confidence: share of the resamples inside an interval, e.g. 0.95.
    """
    ends = {}
    for name, values_B in values.items():
        if interval := percentile_interval(values_B, confidence=confidence):
            ends[f"{name}/ci_low"], ends[f"{name}/ci_high"] = interval.low, interval.high
    return ends


def has_intervals(group_N: Ints) -> bool:
    """Return whether there are two groups at least: of one alone, every resample is the same."""
    return len(group_N) > 0 and int(group_N.max()) > 0


def resamples(group_N: Ints, *, num_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield, block by block, how often each resample contains each sample: (B, N) whole numbers."""
    num_groups = int(group_N.max()) + 1
    generator = np.random.default_rng(seed_of(seed, "bootstrap"))
    rows_per_block = max(1, _BLOCK_CELLS // len(group_N))
    for start in range(0, num_resamples, rows_per_block):
        rows = min(rows_per_block, num_resamples - start)
        drawn = generator.integers(num_groups, size=(rows, num_groups))
        cells = drawn + np.arange(rows)[:, None] * num_groups
        times_BG = np.bincount(cells.ravel(), minlength=rows * num_groups).reshape(rows, num_groups)
        yield times_BG.astype(np.float64)[:, group_N]


def _statistics(scored: Scored, times_BN: Floats) -> dict[str, Floats]:
    confusion_BKK = _confusions(scored, times_BN)
    f1_BK = counts.f1(confusion_BKK)
    losses_N = sample_log_losses(scored.truth, scored.scores)
    return {
        "accuracy": counts.accuracy(confusion_BKK),
        "precision_macro": counts.macro(counts.precision(confusion_BKK), confusion_BKK),
        "recall_macro": counts.macro(counts.recall(confusion_BKK), confusion_BKK),
        "f1_macro": counts.macro(f1_BK, confusion_BKK),
        "f1_weighted": counts.weighted(f1_BK, confusion_BKK),
        "roc_auc_macro": _roc_auc_macro(scored, times_BN),
        "log_loss": (times_BN * losses_N).sum(axis=1) / times_BN.sum(axis=1),
        **{f"f1/{label}": f1_BK[:, index] for index, label in enumerate(scored.classes)},
    }


def _confusions(scored: Scored, times_BN: Floats) -> Floats:
    """Return the confusion matrix of each resample: (B, K, K)."""
    num_classes = len(scored.classes)
    cells_N = scored.truth * num_classes + scored.predicted
    rows = [np.bincount(cells_N, weights=times_N, minlength=num_classes**2) for times_N in times_BN]
    return np.reshape(rows, (len(times_BN), num_classes, num_classes))


def _roc_auc_macro(scored: Scored, times_BN: Floats) -> Floats:
    """Return the mean area over the classes where it is defined: (B,)."""
    areas_KB = np.array(
        [
            _roc_auc(scored.truth == index, scored.scores[:, index], times_BN)
            for index in range(len(scored.classes))
        ]
    )
    defined_KB = np.isfinite(areas_KB)
    return ratio(np.where(defined_KB, areas_KB, 0.0).sum(axis=0), defined_KB.sum(axis=0))


def _roc_auc(positive_N: Bools, scores_N: Floats, times_BN: Floats) -> Floats:
    """Return the share of pairs (positive, negative) in the right order, ties counting one half: (B,)."""
    positives = np.flatnonzero(positive_N)
    negatives = np.flatnonzero(~positive_N)
    negatives = negatives[np.argsort(scores_N[negatives], kind="stable")]
    below = np.searchsorted(scores_N[negatives], scores_N[positives], side="left")
    not_above = np.searchsorted(scores_N[negatives], scores_N[positives], side="right")
    # negatives among the i lowest-scored, for i = 0, 1, …
    beaten = np.zeros((len(times_BN), len(negatives) + 1))
    np.cumsum(times_BN[:, negatives], axis=1, out=beaten[:, 1:])
    times_of_positives = times_BN[:, positives]
    won_B = (times_of_positives * (beaten[:, below] + beaten[:, not_above])).sum(axis=1) / 2.0
    return ratio(won_B, times_of_positives.sum(axis=1) * beaten[:, -1])
