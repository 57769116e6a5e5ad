"""Curves, their areas and the break-even point: by hand and against scikit-learn, ties included."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe.evaluation import curves
from cnnpipe.evaluation.arrays import Bools, Floats

# few distinct scores, so that ties are common
ranked = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40)


def as_arrays(rows: list[tuple[bool, int]]) -> tuple[Bools, Floats]:
    positive, scores = zip(*rows, strict=True)
    return np.array(positive), np.array(scores) / 7


def pr_of(positive: Bools, scores: Floats) -> curves.PrecisionRecallCurve:
    curve = curves.precision_recall_curve(positive, scores)
    assert curve is not None
    return curve


def roc_of(positive: Bools, scores: Floats) -> curves.RocCurve:
    curve = curves.roc_curve(positive, scores)
    assert curve is not None
    return curve


def test_average_precision_worked_by_hand() -> None:
    # best first: hit, miss, hit, miss -> P at the hits is 1 and 2/3, each worth half the recall
    curve = pr_of(np.array([1, 0, 1, 0], dtype=bool), np.array([0.9, 0.8, 0.7, 0.6]))
    assert curves.average_precision(curve) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_interpolated_average_precision_takes_the_best_precision_to_come() -> None:
    # best first: miss, hit, hit -> P at the hits is 1/2 and 2/3; the envelope is 2/3 at both
    curve = pr_of(np.array([0, 1, 1], dtype=bool), np.array([0.9, 0.8, 0.7]))
    assert curves.average_precision(curve) == pytest.approx(0.5 * 1 / 2 + 0.5 * 2 / 3)
    assert curves.interpolated_average_precision(curve) == pytest.approx(2 / 3)


def test_roc_auc_worked_by_hand_with_a_tie() -> None:
    # pairs (positive, negative): .9>.5 right, .9>.2 right, .5=.5 half, .5>.2 right
    positive, scores = np.array([1, 1, 0, 0], dtype=bool), np.array([0.9, 0.5, 0.5, 0.2])
    assert curves.roc_auc(roc_of(positive, scores)) == pytest.approx(3.5 / 4)


@pytest.mark.parametrize(
    ("positive", "scores", "expected"),
    [
        pytest.param([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 1.0, id="perfect"),
        pytest.param([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1], 0.0, id="reversed"),
        pytest.param(
            [1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5], 0.5, id="two positives, the best two hold one"
        ),
        pytest.param(
            [1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5], 0.25, id="constant scores give the share of positives"
        ),
        pytest.param([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1], 0.75, id="one of two tied samples is taken"),
        pytest.param([1, 1], [0.5, 0.4], 1.0, id="all positive"),
    ],
)
def test_break_even_point_worked_by_hand(positive: list[int], scores: list[float], expected: float) -> None:
    found = curves.break_even_point(np.array(positive, dtype=bool), np.array(scores))
    assert found == pytest.approx(expected)


def test_what_needs_samples_is_undefined_without() -> None:
    none, scores = np.zeros(3, dtype=bool), np.array([0.1, 0.2, 0.3])
    assert curves.precision_recall_curve(none, scores) is None
    assert curves.roc_curve(none, scores) is None
    assert curves.roc_curve(~none, scores) is None
    assert np.isnan(curves.break_even_point(none, scores))


@given(ranked)
def test_areas_agree_with_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    positive, scores = as_arrays(rows)
    assume(positive.any() and not positive.all())
    pr, roc = pr_of(positive, scores), roc_of(positive, scores)
    assert curves.average_precision(pr) == pytest.approx(metrics.average_precision_score(positive, scores))
    assert curves.roc_auc(roc) == pytest.approx(metrics.roc_auc_score(positive, scores))


@given(ranked)
def test_break_even_is_the_mean_over_the_orders_of_tied_samples(rows: list[tuple[bool, int]]) -> None:
    rows = rows[:6]
    positive, scores = as_arrays(rows)
    assume(positive.any())
    wanted = positive.sum()
    orders = [
        order
        for order in itertools.permutations(range(len(rows)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    hits = [positive[list(order[:wanted])].sum() / wanted for order in orders]
    assert curves.break_even_point(positive, scores) == pytest.approx(np.mean(hits))


@given(st.lists(st.booleans(), min_size=2, max_size=30))
def test_break_even_point_lies_on_scikit_learns_curve_where_no_scores_tie(positives: list[bool]) -> None:
    positive, scores = np.array(positives), np.arange(len(positives)) / 100
    assume(positive.any())
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    point = curves.break_even_point(positive, scores)
    if point > 0:
        meets = np.isclose(precision, recall) & (recall > 0)
        assert np.isclose(precision[meets], point).any()


@given(ranked)
def test_interpolation_never_lowers_the_area(rows: list[tuple[bool, int]]) -> None:
    positive, scores = as_arrays(rows)
    assume(positive.any())
    curve = pr_of(positive, scores)
    assert curves.interpolated_average_precision(curve) >= curves.average_precision(curve) - 1e-12


def test_macro_curves_are_means_over_classes() -> None:
    perfect = roc_of(np.array([0, 1], dtype=bool), np.array([0.1, 0.9]))
    chance = roc_of(np.array([0, 1], dtype=bool), np.array([0.5, 0.5]))
    assert curves.macro_roc([perfect, chance], np.array([0.0, 0.5, 1.0])) == pytest.approx([0.5, 0.75, 1.0])
    one = pr_of(np.array([1, 0, 1], dtype=bool), np.array([0.9, 0.8, 0.7]))
    assert curves.macro_precision([one, one], np.array([0.0, 0.3, 0.5, 0.6, 1.0])) == pytest.approx(
        [1, 1, 1, 2 / 3, 2 / 3]
    )


def test_mean_precision_is_zero_where_a_curve_has_ended() -> None:
    of_a_detector = curves.PrecisionRecallCurve(
        threshold=np.array([0.3, 0.8, np.nan]),
        precision=np.array([0.5, 1.0, 1.0]),
        recall=np.array([0.5, 0.25, 0.0]),
        break_even=0.5,
    )
    levels = np.array([0.0, 0.25, 0.4, 0.5, 0.6, 1.0])
    assert curves.macro_precision([of_a_detector], levels).tolist() == [1, 1, 0.5, 0.5, 0, 0]


def test_break_even_of_a_detector_counts_objects_that_nothing_finds() -> None:
    is_hit, scores = np.array([True, False, True]), np.array([0.9, 0.8, 0.7])
    assert curves.break_even_point(is_hit, scores, num_positives=3) == pytest.approx(2 / 3)
    assert np.isnan(curves.break_even_point(is_hit, scores, num_positives=4))
    assert np.isnan(curves.break_even_point(is_hit, scores, num_positives=0))
