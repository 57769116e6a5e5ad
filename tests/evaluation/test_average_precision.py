"""Interpolated average precision: by hand, against its definition, and against pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO  # type: ignore[import-untyped]  # no stubs
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]  # no stubs

from cnnpipe.evaluation import average_precision
from cnnpipe.evaluation.arrays import Floats

RANKINGS = st.lists(st.booleans(), min_size=1, max_size=25).filter(any)


def ranking(hits: list[bool], *, num_positives: int) -> dict[str, Floats]:
    """Recall and precision after each of the ranked answers."""
    true_positives = np.cumsum(hits)
    return {
        "recall_T": true_positives / num_positives,
        "precision_T": true_positives / np.arange(1, len(hits) + 1),
    }


def test_worked_by_hand() -> None:
    # hit, miss, hit of two: recall .5 .5 1, precision 1 .5 .67; from recall .6 on the envelope is 2/3
    points = ranking([True, False, True], num_positives=2)
    assert average_precision.all_points_average_precision(**points) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision.eleven_point_average_precision(**points) == pytest.approx(
        (6 * 1 + 5 * 2 / 3) / 11
    )
    assert average_precision.coco_average_precision(**points) == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_recall_that_is_never_reached_counts_as_zero() -> None:
    points = ranking([True], num_positives=2)
    assert average_precision.all_points_average_precision(**points) == pytest.approx(0.5)
    assert average_precision.eleven_point_average_precision(**points) == pytest.approx(6 / 11)


def test_nothing_ranked_is_zero() -> None:
    empty = {"recall_T": np.zeros(0), "precision_T": np.zeros(0)}
    assert average_precision.all_points_average_precision(**empty) == 0
    assert average_precision.coco_average_precision(**empty) == 0


@given(RANKINGS, st.integers(0, 3))
def test_all_points_is_the_sum_it_says(hits: list[bool], missed: int) -> None:
    points = ranking(hits, num_positives=sum(hits) + missed)
    recall, precision = points["recall_T"], points["precision_T"]
    expected = sum(
        (recall[k] - (recall[k - 1] if k else 0)) * precision[k:].max() for k in range(len(recall))
    )
    assert average_precision.all_points_average_precision(**points) == pytest.approx(expected)


@given(RANKINGS, st.integers(0, 3))
def test_101_points_agree_with_pycocotools(hits: list[bool], missed: int) -> None:
    """One picture per answer: a hit is a detection on its object, a miss one beside it."""
    points = ranking(hits, num_positives=sum(hits) + missed)
    found = average_precision.coco_average_precision(**points)
    assert found == pytest.approx(_pycocotools_ap(hits, missed), abs=1e-9)


def _pycocotools_ap(hits: list[bool], missed: int) -> float:
    truth, ids = COCO(), range(1, len(hits) + missed + 1)
    with_object = [number for number in ids if number > len(hits) or hits[number - 1]]
    truth.dataset = {
        "info": {},
        "images": [{"id": number, "width": 100, "height": 100} for number in ids],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 20, 20], "area": 400, "iscrowd": 0}
            for n in with_object
        ],
    }
    truth.createIndex()
    answers = [
        {
            "image_id": n,
            "category_id": 1,
            "bbox": [0, 0, 20, 20] if hit else [60, 60, 20, 20],
            "score": 1 - n / 100,
        }
        for n, hit in enumerate(hits, start=1)
    ]
    judged = COCOeval(truth, truth.loadRes(answers), "bbox")
    judged.evaluate()
    judged.accumulate()
    return float(judged.eval["precision"][0, :, 0, 0, 2].mean())
