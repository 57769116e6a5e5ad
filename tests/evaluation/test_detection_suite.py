"""A detector's metrics against pycocotools, scikit-learn and plain loops; resamples against drawn sets."""

import math
from itertools import pairwise

import numpy as np
import pytest
from detections import as_coco, drawn_pictures, pycocotools_numbers, run_pycocotools
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import DataError
from cnnpipe.evaluation import detection_intervals, intervals
from cnnpipe.evaluation.detection import Judged, best_f1_thresholds, stack
from cnnpipe.evaluation.detection_curves import presence_scores
from cnnpipe.evaluation.detection_ranking import rank
from cnnpipe.evaluation.detection_suite import (
    DetectorJudgement,
    detection_metrics,
    judge_detections,
    resampled_metrics,
    undefined_notes,
)

CLASSES = ("ant", "b/e", "cat")
SEEDS = st.integers(0, 10**6)


def judge(pictures: list[Judged], *, groups: list[str] | None = None) -> DetectorJudgement:
    thresholds = dict(zip(CLASSES, best_f1_thresholds(pictures, num_classes=3), strict=True))
    return judge_detections(
        pictures, CLASSES, thresholds, groups or [str(number) for number in range(len(pictures))]
    )


def metrics_of(pictures: list[Judged], *, groups: list[str] | None = None) -> dict[str, float]:
    return detection_metrics(judge(pictures, groups=groups), seed=3, num_resamples=50, confidence=0.9)


@given(seed=SEEDS, score_steps=st.sampled_from([4, 1000]))
@settings(max_examples=25)
def test_average_precision_of_each_class_is_that_of_pycocotools(seed: int, score_steps: int) -> None:
    pictures = drawn_pictures(seed=seed, score_steps=score_steps, max_found=30)
    found = metrics_of(pictures)
    precision = run_pycocotools(*as_coco(pictures, num_classes=3)).eval["precision"][:, :, :, 0, 2]
    for index, label in enumerate(CLASSES):
        of_class = precision[:, :, index]
        if of_class.min() > -1:
            assert found[f"ap_50/{label}"] == pytest.approx(of_class[0].mean(), abs=1e-9)
            assert found[f"ap_50_95/{label}"] == pytest.approx(of_class.mean(), abs=1e-9)
        else:
            assert f"ap_50/{label}" not in found


def test_only_the_hundred_best_of_a_picture_and_class_count() -> None:
    pictures = drawn_pictures(seed=1, max_found=900, num_pictures=3, score_steps=1000)
    found = metrics_of(pictures)
    expected = pycocotools_numbers(pictures, num_classes=3)
    means = [found[f"ap_50/{label}"] for label in CLASSES]
    assert np.mean(means) == pytest.approx(expected["map_50"], abs=1e-9)
    assert max(len(ranking.scores) for ranking in judge(pictures).rankings) <= 300


@given(seed=SEEDS)
@settings(max_examples=25)
def test_voc_averages_are_the_areas_under_the_best_precision_from_each_recall_on(seed: int) -> None:
    pictures = drawn_pictures(seed=seed, max_found=30)
    found = metrics_of(pictures)
    defined = []
    for ranking, label in zip(rank(stack(pictures, num_classes=3)), CLASSES, strict=True):
        if not ranking.num_truths:
            continue
        points = []  # (recall, precision) at each threshold
        for threshold in sorted(set(ranking.scores.tolist())):
            taken = ranking.is_hit[0][ranking.scores >= threshold]
            points.append((taken.sum() / ranking.num_truths, taken.mean()))
        eleven = sum(best_from(points, step / 10) for step in range(11)) / 11
        steps = sorted({0.0, *(recall for recall, _ in points)})
        everywhere = sum(best_from(points, high) * (high - low) for low, high in pairwise(steps))
        assert found[f"ap_50_11_points/{label}"] == pytest.approx(eleven)
        assert found[f"ap_50_all_points/{label}"] == pytest.approx(everywhere)
        defined.append(everywhere)
    if defined:
        assert found["map_50_all_points"] == pytest.approx(np.mean(defined))


def best_from(points: list[tuple[float, float]], level: float) -> float:
    """The best precision at any recall of `level` or more."""
    return max((precision for recall, precision in points if recall >= level), default=0.0)


@given(seed=SEEDS)
@settings(max_examples=25)
def test_points_of_a_curve_are_what_each_threshold_gives(seed: int) -> None:
    judged = judge(drawn_pictures(seed=seed, max_found=30))
    for ranking, of_class in zip(judged.rankings, judged.curves, strict=True):
        curve = of_class.precision_recall
        if curve is None:
            assert ranking.num_truths == 0
            continue
        assert (curve.precision[-1], curve.recall[-1]) == (1, 0)
        assert math.isnan(curve.threshold[-1])
        for threshold, precision, recall in zip(curve.threshold, curve.precision, curve.recall, strict=True):
            taken = ranking.is_hit[0][ranking.scores >= threshold]
            if len(taken):
                assert (precision, recall) == (taken.mean(), taken.sum() / ranking.num_truths)


def test_break_even_is_where_as_many_are_taken_as_there_are() -> None:
    far, box = [500.0, 500.0, 510.0, 510.0], [0.0, 0.0, 10.0, 10.0]
    other = [100.0, 0.0, 110.0, 10.0]
    picture = Judged(
        truth_boxes_N4=np.array([box, other]),
        truth_class_N=np.array([0, 0]),
        boxes_M4=np.array([box, far, other, far]),
        scores_M=np.array([0.9, 0.8, 0.7, 0.1]),
        class_M=np.array([0, 0, 0, 0]),
    )
    assert metrics_of([picture])["break_even/ant"] == 0.5
    too_few = picture._replace(
        boxes_M4=picture.boxes_M4[:1],
        scores_M=picture.scores_M[:1],
        class_M=picture.class_M[:1],
    )
    assert "break_even/ant" not in metrics_of([too_few])
    assert "fewer detections than objects of ant" in " ".join(undefined_notes(judge([too_few])))


@given(seed=SEEDS)
@settings(max_examples=25)
def test_presence_is_ranked_by_the_best_score_of_the_class_in_a_picture(seed: int) -> None:
    pictures = drawn_pictures(seed=seed, num_pictures=8, max_truths=2)
    found, areas = metrics_of(pictures), []
    for index, label in enumerate(CLASSES):
        is_there = [index in one.truth_class_N for one in pictures]
        scores = [max(one.scores_M[one.class_M == index], default=0.0) for one in pictures]
        assert presence_scores(rank(stack(pictures, num_classes=3))[index]).tolist() == scores
        if 0 < sum(is_there) < len(pictures):
            areas.append(sklearn_metrics.roc_auc_score(is_there, scores))
            assert found[f"presence_roc_auc/{label}"] == pytest.approx(areas[-1])
        else:
            assert f"presence_roc_auc/{label}" not in found
    assert found.get("presence_roc_auc_macro") == (pytest.approx(np.mean(areas)) if areas else None)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_resample_has_the_metrics_of_the_pictures_that_were_drawn(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = drawn_pictures(seed=seed, num_pictures=9, max_found=20, score_steps=10**6)
    judged = judge(pictures, groups=[str(number // 2) for number in range(9)])
    monkeypatch.setattr(detection_intervals, "_CELLS_AT_ONCE", 100)  # several blocks
    drawn = resampled_metrics(judged, seed=8, num_resamples=6)
    times_BI = np.concatenate(list(intervals.resamples(judged.group, num_resamples=6, seed=8)))
    thresholds = dict(zip(CLASSES, best_f1_thresholds(pictures, num_classes=3), strict=True))
    for row, times_I in enumerate(times_BI):
        chosen = [one for one, times in zip(pictures, times_I, strict=True) for _ in range(int(times))]
        again = judge_detections(chosen, CLASSES, thresholds, ["one"] * len(chosen))
        expected = detection_metrics(again, seed=0, num_resamples=1, confidence=0.9)
        for name, values in drawn.items():
            assert values[row] == pytest.approx(expected.get(name, np.nan), abs=1e-9, nan_ok=True), name


def test_groups_are_drawn_whole_and_ends_enclose_the_metric() -> None:
    pictures = drawn_pictures(seed=4, num_pictures=20)
    found = metrics_of(pictures)
    with_interval = [name.removesuffix("/ci_low") for name in found if name.endswith("/ci_low")]
    assert {
        "map_50",
        "map_50_95",
        "recall_micro",
        "f1_macro",
        "precision_macro",
        "f1/ant",
        "ap_50/cat",
    } <= set(with_interval)
    for name in with_interval:
        assert found[f"{name}/ci_low"] <= found[name] <= found[f"{name}/ci_high"], name
    one_group = metrics_of(pictures, groups=["a"] * 20)
    assert not any("/ci_" in name for name in one_group)
    assert "all pictures belong to one group" in " ".join(undefined_notes(judge(pictures, groups=["a"] * 20)))


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        pytest.param({"max_truths": 0}, "no object of ant, b/e, cat", id="no object"),
        pytest.param({"max_found": 0}, "never detected: ant, b/e, cat", id="no detection"),
        pytest.param(
            {"num_pictures": 1, "max_truths": 40, "max_found": 60}, "every picture shows", id="one picture"
        ),
    ],
)
def test_what_is_undefined_is_absent_and_noted(changes: dict[str, int], note: str) -> None:
    pictures = drawn_pictures(seed=2, **changes)
    assert note in " ".join(undefined_notes(judge(pictures)))
    assert all(math.isfinite(value) for value in metrics_of(pictures).values())


def test_a_class_without_threshold_is_named() -> None:
    with pytest.raises(DataError, match=r"(?s)model.json: has no threshold for b/e, cat.*fix: train"):
        judge_detections(drawn_pictures(seed=3), CLASSES, {"ant": 0.5}, ["a"] * 6)


def test_a_class_below_its_threshold_has_no_precision() -> None:
    pictures = drawn_pictures(seed=3)
    judged = judge_detections(pictures, CLASSES, dict.fromkeys(CLASSES, 1.5), ["a", "b"] * 3)
    found = detection_metrics(judged, seed=0, num_resamples=20, confidence=0.9)
    assert found["recall_macro"] == found["f1_micro"] == found["precision_macro"] == 0
    assert "precision_micro" not in found
    assert "no detection reaches the threshold of ant, b/e, cat." in " ".join(undefined_notes(judged))
