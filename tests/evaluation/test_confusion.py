"""Counting metrics: against numbers worked by hand and against scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe.evaluation import confusion
from cnnpipe.evaluation.arrays import Floats, Ints

# truth a a a a b b b c c c; 4 of them taken wrongly
BY_HAND = np.array([[3, 1, 0], [1, 2, 0], [0, 2, 1]])

labelled = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=40),
    )
)


def test_matrix_has_truth_in_rows() -> None:
    matrix = confusion.confusion_matrix(np.array([0, 0, 1]), np.array([1, 0, 1]), num_classes=3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        pytest.param(confusion.precision, [3 / 4, 2 / 5, 1.0], id="precision: TP over the column"),
        pytest.param(confusion.recall, [3 / 4, 2 / 3, 1 / 3], id="recall: TP over the row"),
        pytest.param(confusion.f1, [3 / 4, 1 / 2, 1 / 2], id="f1"),
        pytest.param(confusion.specificity, [5 / 6, 4 / 7, 1.0], id="specificity: TN over the others"),
        pytest.param(confusion.negative_precision, [5 / 6, 4 / 5, 7 / 9], id="negative precision"),
    ],
)
def test_metrics_of_each_class_worked_by_hand(
    metric: Callable[[Ints], Floats], expected: list[float]
) -> None:
    assert metric(BY_HAND) == pytest.approx(expected)


def test_means_worked_by_hand() -> None:
    assert confusion.accuracy(BY_HAND) == pytest.approx(0.6)
    f1 = confusion.f1(BY_HAND)
    assert confusion.macro(f1, BY_HAND) == pytest.approx((3 / 4 + 1 / 2 + 1 / 2) / 3)
    assert confusion.weighted(f1, BY_HAND) == pytest.approx((4 * 3 / 4 + 3 / 2 + 3 / 2) / 10)


def test_class_without_samples_is_undefined_and_in_no_mean() -> None:
    matrix = np.array([[2, 0, 1], [0, 2, 0], [0, 0, 0]])
    assert np.isnan(confusion.recall(matrix)).tolist() == [False, False, True]
    assert np.isnan(confusion.f1(matrix)).tolist() == [False, False, True]
    assert confusion.precision(matrix)[2] == 0  # predicted once, wrongly: that is defined
    assert confusion.macro(confusion.recall(matrix), matrix) == pytest.approx((2 / 3 + 1) / 2)
    assert confusion.macro(confusion.precision(matrix), matrix) == 1


def test_class_never_predicted_has_no_precision_but_lowers_the_mean() -> None:
    matrix = np.array([[3, 0], [2, 0]])
    precision = confusion.precision(matrix)
    assert np.isnan(precision).tolist() == [False, True]
    assert confusion.macro(precision, matrix) == pytest.approx(0.3)
    assert confusion.f1(matrix)[1] == 0


def test_single_class_has_no_specificity() -> None:
    matrix = np.array([[4, 0], [0, 0]])
    assert np.isnan(confusion.specificity(matrix)[0])
    assert np.isnan(confusion.negative_precision(matrix)[0])


def test_nothing_to_judge_is_undefined() -> None:
    assert np.isnan(confusion.accuracy(np.zeros((2, 2), dtype=np.int64)))
    assert np.isnan(confusion.macro(np.full(2, np.nan), np.zeros((2, 2), dtype=np.int64)))


@given(labelled)
def test_agrees_with_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    num_classes, pairs = case
    truth, predicted = np.array(pairs).T
    matrix = confusion.confusion_matrix(truth, predicted, num_classes=num_classes)
    assert (matrix == metrics.confusion_matrix(truth, predicted, labels=range(num_classes))).all()
    assert confusion.accuracy(matrix) == pytest.approx(metrics.accuracy_score(truth, predicted))
    present = sorted(set(truth))
    for average, mean in (("macro", confusion.macro), ("weighted", confusion.weighted)):
        ours = [
            mean(metric(matrix), matrix) for metric in (confusion.precision, confusion.recall, confusion.f1)
        ]
        theirs = metrics.precision_recall_fscore_support(
            truth, predicted, labels=present, average=average, zero_division=0
        )
        assert ours == pytest.approx(theirs[:3])


@given(labelled)
def test_each_class_agrees_with_scikit_learn_against_the_rest(
    case: tuple[int, list[tuple[int, int]]],
) -> None:
    num_classes, pairs = case
    truth, predicted = np.array(pairs).T
    matrix = confusion.confusion_matrix(truth, predicted, num_classes=num_classes)
    negatives = {"pos_label": False, "zero_division": np.nan}
    for index in range(num_classes):
        is_truth, is_predicted = truth == index, predicted == index
        assert confusion.specificity(matrix)[index] == pytest.approx(
            metrics.recall_score(is_truth, is_predicted, **negatives), nan_ok=True
        )
        assert confusion.negative_precision(matrix)[index] == pytest.approx(
            metrics.precision_score(is_truth, is_predicted, **negatives), nan_ok=True
        )


def test_many_matrices_at_once_give_what_each_gives_alone() -> None:
    matrices = np.random.default_rng(0).integers(0, 4, size=(5, 3, 3))
    together = confusion.macro(confusion.f1(matrices), matrices)
    assert together == pytest.approx([float(confusion.macro(confusion.f1(m), m)) for m in matrices])
