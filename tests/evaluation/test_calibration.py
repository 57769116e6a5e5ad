"""Log loss and calibration error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe.evaluation import calibration


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(2, 5))
def test_log_loss_agrees_with_scikit_learn(seed: int, num_samples: int, num_classes: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet(np.full(num_classes, 0.3), size=num_samples)
    truth = generator.integers(num_classes, size=num_samples)
    expected = metrics.log_loss(truth, scores, labels=range(num_classes))
    assert calibration.log_loss(truth, scores) == pytest.approx(expected)


def test_a_sure_mistake_costs_a_finite_amount() -> None:
    assert calibration.log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(52 * np.log(2))


def test_calibration_error_worked_by_hand() -> None:
    # two bins: confidence .6 and .8, one of two right; and .4 (of three classes), wrong
    scores = np.array([[0.6, 0.2, 0.2], [0.8, 0.1, 0.1], [0.4, 0.3, 0.3]])
    bins = calibration.reliability(np.array([0, 1, 2]), scores, num_bins=2)
    assert bins.count.tolist() == [1, 2]
    assert bins.confidence == pytest.approx([0.4, 0.7])
    assert bins.accuracy == pytest.approx([0.0, 0.5])
    assert calibration.calibration_error(bins) == pytest.approx((1 * 0.4 + 2 * 0.2) / 3)


def test_bins_hold_their_upper_edge_and_empty_ones_are_undefined() -> None:
    scores = np.array([[0.5, 0.5], [1.0, 0.0]])
    bins = calibration.reliability(np.array([0, 0]), scores, num_bins=4)
    assert bins.count.tolist() == [0, 1, 0, 1]
    assert np.isnan(bins.accuracy[[0, 2]]).all()


def test_scores_that_mean_what_they_say_have_no_error() -> None:
    scores = np.tile([0.75, 0.25], (4, 1))
    bins = calibration.reliability(np.array([0, 0, 0, 1]), scores)
    assert calibration.calibration_error(bins) == pytest.approx(0)
