"""Bootstrap over groups."""

import time

import numpy as np
import pytest
from sklearn import metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.arrays import Floats, Scored
from cnnpipe.evaluation.suite import classification_metrics


def scored(
    *, num_samples: int = 60, num_classes: int = 3, num_groups: int = 30, seed: int = 0, decimals: int = 1
) -> Scored:
    """Random scores, rounded so that many tie."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(num_classes, size=num_samples)
    scores = generator.dirichlet(np.ones(num_classes), size=num_samples)
    scores[np.arange(num_samples), truth] += 0.3
    group = np.unique(generator.integers(num_groups, size=num_samples), return_inverse=True)[1]
    classes = tuple("abcdefghij"[:num_classes])
    return Scored(classes=classes, truth=truth, scores=np.round(scores, decimals), group=group)


def repeated(samples: Scored, times: Floats) -> Scored:
    """The resample itself: each sample as often as it was drawn."""
    chosen = np.repeat(np.arange(len(samples.truth)), times.astype(int))
    return Scored(
        classes=samples.classes,
        truth=samples.truth[chosen],
        scores=samples.scores[chosen],
        group=np.arange(len(chosen)),
    )


@pytest.mark.parametrize("num_samples", [2, 7, 60], ids=["two samples", "classes missing", "many"])
def test_each_value_is_the_metric_of_its_resample(num_samples: int) -> None:
    samples = scored(num_samples=num_samples)
    values = intervals.bootstrap(samples, num_resamples=20, seed=3)
    (times,) = intervals.resamples(samples.group, num_resamples=20, seed=3)
    for row in range(20):
        alone = classification_metrics(repeated(samples, times[row]), seed=0, num_resamples=2, confidence=0.9)
        for name, found in values.items():
            assert found[row] == pytest.approx(alone.get(name, np.nan), nan_ok=True), (row, name)


def test_groups_are_drawn_whole_and_as_many_as_there_are() -> None:
    group = np.array([0, 0, 0, 1, 2, 2])
    (times,) = intervals.resamples(group, num_resamples=200, seed=1)
    assert (times[:, [0, 0, 4]] == times[:, [1, 2, 5]]).all()
    assert (times[:, [0, 3, 4]].sum(axis=1) == 3).all()
    assert times[:, [0, 3, 4]].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.2)


def test_blocks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = scored()
    whole = intervals.bootstrap(samples, num_resamples=50, seed=1)
    monkeypatch.setattr(intervals, "_BLOCK_CELLS", 420)  # 7 resamples of 60 samples
    in_blocks = intervals.bootstrap(samples, num_resamples=50, seed=1)
    assert all((whole[name] == in_blocks[name]).all() for name in ("accuracy", "f1_macro"))


def test_same_seed_same_values_other_seed_others() -> None:
    first, again, other = (
        intervals.bootstrap(scored(), num_resamples=50, seed=s)["accuracy"] for s in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_interval_of_accuracy_is_that_of_the_binomial() -> None:
    """With groups of one sample the resamples are binomial draws: ± 1.96 sqrt(p (1 − p) / n)."""
    samples = scored(num_samples=400)
    samples = Scored(
        classes=samples.classes, truth=samples.truth, scores=samples.scores, group=np.arange(400)
    )
    share = metrics.accuracy_score(samples.truth, samples.predicted)
    values = intervals.bootstrap(samples, num_resamples=4000, seed=1)["accuracy"]
    interval = intervals.percentile_interval(values, confidence=0.95)
    half_width = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert interval is not None
    assert interval.low == pytest.approx(share - half_width, abs=0.005)
    assert interval.high == pytest.approx(share + half_width, abs=0.005)


def test_samples_that_fall_together_widen_the_interval() -> None:
    """Copies of a sample in its group tell nothing new."""
    single = scored(num_samples=50, num_groups=10**6)
    fivefold = Scored(
        classes=single.classes,
        truth=np.repeat(single.truth, 5),
        scores=np.repeat(single.scores, 5, axis=0),
        group=np.repeat(single.group, 5),
    )
    ends = [
        intervals.percentile_interval(
            intervals.bootstrap(samples, num_resamples=500, seed=1)["accuracy"], confidence=0.95
        )
        for samples in (single, fivefold)
    ]
    assert ends[0] == ends[1]


def test_interval_leaves_out_what_is_undefined() -> None:
    interval = intervals.percentile_interval(np.array([np.nan, 1.0, 3.0]), confidence=0.5)
    assert interval == intervals.Interval(low=1.5, high=2.5)
    assert intervals.percentile_interval(np.full(3, np.nan), confidence=0.5) is None


def test_ten_thousand_samples_take_well_under_a_second_of_cpu() -> None:
    samples = scored(num_samples=10_000, num_classes=6, num_groups=5_000, decimals=6)
    start = time.process_time()
    intervals.bootstrap(samples, num_resamples=250, seed=1)
    assert time.process_time() - start < 1.0  # a quarter of the default, measured 0.17
