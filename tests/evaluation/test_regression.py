"""Numbers of a regressor: against scikit-learn, numbers worked by hand, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle  # type: ignore[import-untyped]

from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.arrays import Floats
from cnnpipe.evaluation.predictions import ValuePrediction
from cnnpipe.evaluation.regression import (
    Valued,
    bootstrap_errors,
    errors_of,
    regression_metrics,
    stack_values,
    undefined_value_notes,
)

NUMBERS = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30)


def valued(truth: list[float], predicted: list[float], groups: list[str] | None = None) -> Valued:
    rows = zip(truth, predicted, groups or [str(number) for number in range(len(truth))], strict=True)
    return stack_values(
        [ValuePrediction(image_id="a", region=None, group=g, truth=t, value=v) for t, v, g in rows]
    )


def test_numbers_worked_by_hand() -> None:
    # errors 1, -1, 0, 4: Σ|e| = 6, Σe² = 18; truths 1, 2, 3, 6 around 3: 4 + 1 + 0 + 9 = 14
    found = errors_of(np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 1.0, 3.0, 10.0]))
    assert found == pytest.approx({"mae": 1.5, "mse": 4.5, "rmse": 4.5**0.5, "r2": 1 - 18 / 14})


@given(PAIRS)
def test_scikit_learn_finds_the_same(pairs: list[tuple[float, float]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = errors_of(truth, predicted)
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(truth, predicted))
    assert found["mse"] == pytest.approx(oracle.mean_squared_error(truth, predicted))
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(truth, predicted))
    if len(set(truth.tolist())) > 1:
        assert found["r2"] == pytest.approx(oracle.r2_score(truth, predicted), rel=1e-6, abs=1e-9)


@given(PAIRS, st.sampled_from([0.001, 3.0, 1000.0]))
def test_another_unit_scales_errors_and_leaves_r2(pairs: list[tuple[float, float]], factor: float) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    one, other = errors_of(truth, predicted), errors_of(factor * truth, factor * predicted)
    assert other["mae"] == pytest.approx(factor * one["mae"])
    assert other["mse"] == pytest.approx(factor**2 * one["mse"])
    assert ("r2" in one) == ("r2" in other)
    if "r2" in one:
        assert other["r2"] == pytest.approx(one["r2"], rel=1e-6)


@pytest.mark.parametrize("truth", [0.1, 7.0, 1e12])
def test_r2_is_absent_where_all_truths_are_equal(truth: float) -> None:
    same = valued([truth] * 3, [truth, truth + 1, truth - 1])
    found = regression_metrics(same, seed=1, num_resamples=100, confidence=0.9)
    assert {name for name in found if "/" not in name} == {"mae", "mse", "rmse"}
    assert not [name for name in found if name.startswith("r2")]
    assert undefined_value_notes(same) == [f"the truth is {truth:g} everywhere: R² is undefined."]


def test_truths_far_from_zero_keep_their_digits() -> None:
    near, far = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.5, 3.5])
    assert errors_of(near + 2.0**40, far + 2.0**40)["r2"] == pytest.approx(errors_of(near, far)["r2"])


def test_each_resample_has_the_metrics_of_its_samples() -> None:
    truth, predicted = [1.0, 2.0, 4.0, 8.0, 3.0], [1.5, 1.0, 4.0, 6.0, 3.5]
    one = valued(truth, predicted, ["a", "a", "b", "c", "c"])
    drawn = bootstrap_errors(one, num_resamples=60, seed=5)
    (times_BN,) = intervals.resamples(one.group, num_resamples=60, seed=5)
    for number, times_N in enumerate(times_BN.astype(int)):
        sample = [np.repeat(column, times_N) for column in (truth, predicted)]
        expected: dict[str, float] = errors_of(*sample)
        found = {name: values_B[number] for name, values_B in drawn.items()}
        assert found == pytest.approx({"r2": np.nan} | expected, nan_ok=True)


def test_intervals_hold_their_metric_and_need_two_groups() -> None:
    truth = np.arange(40.0)
    predicted = truth + np.random.default_rng(1).normal(size=40)
    found = regression_metrics(
        valued(truth.tolist(), predicted.tolist()), seed=1, num_resamples=300, confidence=0.95
    )
    for name in ("mae", "mse", "rmse", "r2"):
        assert found[f"{name}/ci_low"] < found[name] < found[f"{name}/ci_high"]
    alone = valued([1.0, 2.0], [1.0, 3.0], ["a", "a"])
    assert set(regression_metrics(alone, seed=1, num_resamples=100, confidence=0.9)) == {
        *("mae", "mse", "rmse", "r2")
    }
    assert undefined_value_notes(alone) == [
        "all samples belong to one group: there are no confidence intervals."
    ]


def test_no_sample_gives_empty_arrays() -> None:
    nothing: Floats = stack_values([]).error
    assert nothing.shape == (0,)
