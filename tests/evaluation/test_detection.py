"""COCO's numbers against pycocotools, and thresholds of best F1 against trying them all."""

import numpy as np
import pytest
from detections import drawn_pictures, pycocotools_numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnpipe.evaluation.detection import Judged, best_f1_thresholds, coco_numbers
from cnnpipe.geometry.boxes import box_iou


def picture(truths: list[tuple[int, list[float]]], found: list[tuple[int, list[float], float]]) -> Judged:
    return Judged(
        truth_boxes_N4=np.array([box for _, box in truths], np.float64).reshape(-1, 4),
        truth_class_N=np.array([index for index, _ in truths], np.int64),
        boxes_M4=np.array([box for _, box, _ in found], np.float64).reshape(-1, 4),
        scores_M=np.array([score for _, _, score in found], np.float64),
        class_M=np.array([index for index, _, _ in found], np.int64),
    )


A, B = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 80.0, 90.0]
MEDIUM, LARGE = [0.0, 0.0, 32.0, 32.0], [0.0, 0.0, 96.0, 96.0]  # just


@given(seed=st.integers(0, 10**6), num_classes=st.integers(1, 4), score_steps=st.sampled_from([1, 5, 1000]))
@settings(max_examples=60)
def test_numbers_are_those_of_pycocotools(seed: int, num_classes: int, score_steps: int) -> None:
    pictures = drawn_pictures(seed=seed, num_classes=num_classes, score_steps=score_steps)
    expected = pycocotools_numbers(pictures, num_classes=num_classes)
    assert coco_numbers(pictures, num_classes=num_classes) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "pictures",
    [
        pytest.param(drawn_pictures(seed=1, max_found=0), id="no detections"),
        pytest.param(drawn_pictures(seed=1, max_truths=0), id="no objects"),
        pytest.param(drawn_pictures(seed=1, max_found=0, max_truths=0), id="nothing at all"),
        pytest.param(drawn_pictures(seed=2, num_classes=1), id="one class"),
        pytest.param(drawn_pictures(seed=3, num_pictures=1), id="one picture"),
        pytest.param(drawn_pictures(seed=4, max_found=700, max_truths=300, num_pictures=2), id="crowded"),
        pytest.param(drawn_pictures(seed=5, mean_side_px=8), id="small boxes"),
        pytest.param(drawn_pictures(seed=6, mean_side_px=400), id="large boxes"),
        pytest.param([picture([(0, A)] * 2, [(0, A, 0.5)] * 3)], id="duplicates"),
        pytest.param([picture([(0, A)], [(0, [0, 0, 10, 20], 0.5)])], id="an IoU of just 0.5"),
        pytest.param([picture([(0, MEDIUM), (0, LARGE)], [(0, LARGE, 1.0)])], id="area limits"),
        pytest.param([picture([(2, B)], []), picture([], [(0, A, 0.9)])], id="class without objects"),
    ],
)
def test_edges_are_those_of_pycocotools(pictures: list[Judged]) -> None:
    expected = pycocotools_numbers(pictures, num_classes=3)
    assert coco_numbers(pictures, num_classes=3) == pytest.approx(expected, abs=1e-9)


def test_without_pictures_nothing_is_defined() -> None:
    assert coco_numbers([], num_classes=2) == {}
    assert best_f1_thresholds([], num_classes=2) == [0.5, 0.5]


def test_sure_detections_make_every_number_one() -> None:
    found = coco_numbers([picture([(0, B), (1, A)], [(1, A, 0.3), (0, B, 0.9)])], num_classes=2)
    assert found.keys() == {
        *("map_50_95", "map_50", "map_75", "map_small", "map_medium"),
        *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium"),  # there is no large object
    }
    assert list(found.values()) == pytest.approx([1.0] * len(found))


@given(seed=st.integers(0, 10**6), score_steps=st.sampled_from([2, 6, 1000]))
@settings(max_examples=40)
def test_threshold_is_the_best_of_all_scores(seed: int, score_steps: int) -> None:
    pictures = drawn_pictures(seed=seed, score_steps=score_steps)
    thresholds = best_f1_thresholds(pictures, num_classes=3)
    for index, threshold in enumerate(thresholds):
        scores = sorted(
            {score for one in pictures for score in one.scores_M[one.class_M == index]}, reverse=True
        )
        tried = {score: f1_at(pictures, index, score) for score in scores}
        best = max(tried.values(), default=0.0)
        assert threshold == (max(s for s in scores if tried[s] == best) if best else 0.5)


def f1_at(pictures: list[Judged], index: int, threshold: float) -> float:
    """F1 of one class when only detections from `threshold` on exist, matched one by one."""
    hits = found = truths = 0
    for one in pictures:
        taken = (one.scores_M >= threshold) & (one.class_M == index)
        free = list(range(int((one.truth_class_N == index).sum())))
        truths, found = truths + len(free), found + int(taken.sum())
        iou = box_iou(one.boxes_M4[taken], one.truth_boxes_N4[one.truth_class_N == index])
        for detection in np.argsort(-one.scores_M[taken], kind="stable"):
            best = max(free, key=lambda truth, row=iou[detection]: (row[truth], truth), default=None)  # type: ignore[misc]
            if best is not None and iou[detection, best] >= 0.5:
                free.remove(best)
                hits += 1
    return 2 * hits / (found + truths) if hits else 0.0


def test_order_of_a_pictures_detections_does_not_matter_where_scores_differ() -> None:
    pictures = drawn_pictures(seed=9, score_steps=10**6)
    turned = [
        one._replace(boxes_M4=one.boxes_M4[::-1], scores_M=one.scores_M[::-1], class_M=one.class_M[::-1])
        for one in pictures
    ]
    assert coco_numbers(turned, num_classes=3) == coco_numbers(pictures, num_classes=3)
    assert best_f1_thresholds(turned, num_classes=3) == best_f1_thresholds(pictures, num_classes=3)
