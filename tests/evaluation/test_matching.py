"""Matching by overlap: pycocotools' own matches, and the laws of the four kinds."""

from collections.abc import Sequence

import numpy as np
import pytest
from detections import as_coco, drawn_pictures, run_pycocotools
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnpipe.evaluation import matching
from cnnpipe.evaluation.detection import Judged, stack
from cnnpipe.evaluation.detection_counts import (
    counts_by_picture,
    detection_confusion,
    macro,
    pairs_of_classes,
    reported,
    total,
)
from cnnpipe.evaluation.matching import NOT_MATCHED, match, overlaps, unmatched_pairs

SEEDS = st.integers(0, 10**6)


def box(x: float, y: float = 0.0, side: float = 10.0) -> list[float]:
    return [x, y, x + side, y + side]


def one_picture(
    truths: Sequence[tuple[int, list[float]]], found: Sequence[tuple[int, list[float], float]]
) -> list[Judged]:
    return [
        Judged(
            truth_boxes_N4=np.array([corners for _, corners in truths], np.float64).reshape(-1, 4),
            truth_class_N=np.array([index for index, _ in truths], np.int64),
            boxes_M4=np.array([corners for _, corners, _ in found], np.float64).reshape(-1, 4),
            scores_M=np.array([score for _, _, score in found], np.float64),
            class_M=np.array([index for index, _, _ in found], np.int64),
        )
    ]


@given(seed=SEEDS, iou_index=st.integers(0, 9))
@settings(max_examples=40)
def test_matches_are_those_of_pycocotools(seed: int, iou_index: int) -> None:
    pictures = drawn_pictures(seed=seed, max_found=30)
    evaluation = run_pycocotools(*as_coco(pictures, num_classes=3))
    expected: dict[int, int] = {}
    for image in evaluation.evalImgs:
        if image is not None and image["aRng"] == [0, 1e10]:
            expected |= dict(zip(image["dtIds"], image["dtMatches"][iou_index], strict=True))
    stacked = stack(pictures, num_classes=3)
    found = match(
        overlaps(stacked, min_iou=0.5), len(stacked.scores), iou=float(evaluation.params.iouThrs[iou_index])
    )
    # ids count from 1 there, and 0 is no match
    assert (found + 1).tolist() == [int(expected[number + 1]) for number in range(len(found))]


def test_pairs_are_the_same_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    stacked = stack(drawn_pictures(seed=5, max_found=40, max_truths=20), num_classes=3)
    whole = overlaps(stacked, min_iou=0.3)
    monkeypatch.setattr(matching, "_PAIRS_AT_ONCE", 3)
    parted = overlaps(stacked, min_iou=0.3)
    assert len(whole.iou) > 50
    for field in whole.__struct_fields__:
        assert np.array_equal(getattr(whole, field), getattr(parted, field))


def test_the_better_score_chooses_first_and_an_object_is_found_once() -> None:
    stacked = stack(one_picture([(0, box(0))], [(0, box(1), 0.6), (0, box(2), 0.9)]), num_classes=1)
    assert match(overlaps(stacked, min_iou=0.5), 2).tolist() == [NOT_MATCHED, 0]


def test_free_pairs_have_neither_a_taken_object_nor_a_matched_detection() -> None:
    pictures = one_picture([(0, box(0)), (1, box(2))], [(0, box(0), 0.9), (0, box(2), 0.8)])
    stacked = stack(pictures, num_classes=2)
    pairs = overlaps(stacked, min_iou=0.5, across_classes=True)
    assert len(pairs.iou) == 4
    rest = unmatched_pairs(pairs, np.array([0, NOT_MATCHED]))
    assert (rest.detection.tolist(), rest.truth.tolist()) == ([1], [1])


KINDS = one_picture(
    [(0, box(0)), (0, box(100)), (1, box(200)), (1, box(300))],
    [
        (0, box(1), 0.9),  # found
        (0, box(2), 0.8),  # a second box on the same: a false alarm
        (0, box(200), 0.7),  # wrong class
        (1, box(500), 0.6),  # a false alarm on nothing
        (1, box(300), 0.1),  # would be found, but is below the threshold
    ],
)


def test_confusion_has_background_last_and_only_what_is_reported() -> None:
    said = reported(stack(KINDS, num_classes=2), [0.5, 0.5])
    assert said.position.tolist() == [0, 1, 2, 3]
    assert said.found.tolist() == [0, NOT_MATCHED, NOT_MATCHED, NOT_MATCHED]
    assert said.confused.tolist() == [NOT_MATCHED, NOT_MATCHED, 2, NOT_MATCHED]
    assert detection_confusion(said).tolist() == [[1, 0, 1], [1, 0, 1], [1, 1, 0]]
    truth, predicted = pairs_of_classes(said)
    assert list(zip(truth.tolist(), predicted.tolist(), strict=True)) == [
        *((0, 0), (0, 2), (1, 0), (1, 2)),
        *((2, 0), (2, 1)),
    ]


def test_a_right_answer_of_low_score_is_not_lost_to_a_wrong_one_of_high_score() -> None:
    pictures = one_picture([(0, box(0))], [(1, box(0), 0.9), (0, box(1), 0.6)])
    assert detection_confusion(reported(stack(pictures, num_classes=2), [0.5, 0.5])).tolist() == [
        [1, 0, 0],
        [0, 0, 0],
        [0, 1, 0],
    ]


def test_threshold_itself_is_reported() -> None:
    said = reported(stack(KINDS, num_classes=2), [0.7, 0.1])
    assert said.position.tolist() == [0, 1, 2, 3, 4]


@given(seed=SEEDS, threshold=st.sampled_from([0.0, 0.5, 2.0]))
@settings(max_examples=40)
def test_rows_are_objects_columns_detections_and_the_diagonal_what_is_found(
    seed: int, threshold: float
) -> None:
    said = reported(stack(drawn_pictures(seed=seed), num_classes=3), [threshold] * 3)
    matrix, counts = detection_confusion(said), total(counts_by_picture(said))
    assert matrix[:3].sum(axis=1).tolist() == counts.truths.tolist()
    assert matrix[:, :3].sum(axis=0).tolist() == counts.detections.tolist()
    assert np.diagonal(matrix)[:3].tolist() == counts.hits.tolist()
    assert matrix[3, 3] == 0


def test_precision_recall_and_f1_of_counts() -> None:
    counts = total(counts_by_picture(reported(stack(KINDS, num_classes=3), [0.5, 0.5, 0.5])))
    assert counts.precision.tolist() == pytest.approx([1 / 3, 0, np.nan], nan_ok=True)
    assert counts.recall.tolist() == pytest.approx([1 / 2, 0, np.nan], nan_ok=True)
    assert counts.f1.tolist() == pytest.approx([2 / 5, 0, np.nan], nan_ok=True)
    assert float(macro(counts.recall, counts)) == pytest.approx(1 / 4)
    assert [float(value[0]) for value in (counts.micro.precision, counts.micro.recall, counts.micro.f1)] == [
        1 / 4,
        1 / 4,
        1 / 4,
    ]


def test_a_class_never_reported_counts_as_zero_in_a_mean() -> None:
    pictures = one_picture([(0, box(0)), (1, box(50))], [(0, box(0), 0.9)])
    counts = total(counts_by_picture(reported(stack(pictures, num_classes=2), [0.5, 0.5])))
    assert float(macro(counts.precision, counts)) == 0.5
