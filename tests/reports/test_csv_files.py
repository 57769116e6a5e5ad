"""The tables for other tools, read back as those read them."""

import csv
import io

import numpy as np
import pytest

from cnnpipe.evaluation.arrays import Scored
from cnnpipe.evaluation.confusion import confusion_matrix
from cnnpipe.evaluation.curves import curves_of
from cnnpipe.reports import csv_files

SAMPLES = Scored(
    classes=('a,"b"', "c\nd", "中文"),
    truth=np.array([0, 0, 1, 1]),
    scores=np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [1 / 3, 2 / 3, 0.0], [0.3, 0.6, 0.1]]),
    group=np.arange(4),
)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_confusion_matrix_has_class_names_on_both_sides_and_truth_in_rows() -> None:
    matrix = confusion_matrix(SAMPLES.truth, SAMPLES.predicted, num_classes=3)
    header, *rows = rows_of(csv_files.confusion_matrix_csv(matrix, SAMPLES.classes))
    assert header == ["truth", *SAMPLES.classes]
    assert rows == [
        ['a,"b"', "1", "0", "1"],
        ["c\nd", "0", "2", "0"],
        ["中文", "0", "0", "0"],
    ]


def test_labels_are_pairs_in_the_order_of_samples() -> None:
    header, *rows = rows_of(csv_files.labels_csv(SAMPLES.truth, SAMPLES.predicted, SAMPLES.classes))
    assert header == ["actual", "predicted"]
    assert rows[1] == ['a,"b"', "中文"]
    assert len(rows) == 4


def test_curves_leave_out_what_has_no_number() -> None:
    curves = curves_of(SAMPLES)
    header, *rows = rows_of(csv_files.precision_recall_csv(curves))
    assert header == ["class", "threshold", "precision", "recall"]
    assert {row[0] for row in rows} == {'a,"b"', "c\nd"}  # 中文 has no sample
    assert rows[-1] == ["c\nd", "", "1.0", "0.0"]  # above every score nothing is predicted
    header, *rows = rows_of(csv_files.roc_csv(curves))
    assert header == ["class", "threshold", "fpr", "tpr"]
    assert rows[0] == ['a,"b"', "", "0.0", "0.0"]


def test_numbers_have_all_their_digits() -> None:
    thresholds = [row[1] for row in rows_of(csv_files.roc_csv(curves_of(SAMPLES)))]
    assert repr(2 / 3) in thresholds


def test_learning_curve_has_a_column_per_metric_and_gaps_where_it_was_not_measured() -> None:
    history = [{"epoch": 1, "train/loss": 2.0}, {"epoch": 2, "train/loss": 1.5, "val/loss": 1.75}]
    assert rows_of(csv_files.learning_curve_csv(history)) == [
        ["epoch", "train/loss", "val/loss"],
        ["1", "2.0", ""],
        ["2", "1.5", "1.75"],
    ]
    assert rows_of(csv_files.learning_curve_csv([])) == [["epoch"]]


@pytest.mark.parametrize("write", [csv_files.precision_recall_csv, csv_files.roc_csv])
def test_no_curve_at_all_is_a_header(write: object) -> None:
    assert callable(write)
    assert len(rows_of(write([]))) == 1
