"""Judge a detector on val and test, with the full suite of metrics.

Thresholds were chosen on val when it was trained; curves, figures and pictures are of test, of val there are
the metrics and the predictions. All numbers are of the boxes in the files, see `coco_files.rounded`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, open_detect_view, picture_at, positions_of
from cnnpipe.datasets.records import DetectSample
from cnnpipe.evaluation.coco_files import coco_results, coco_truth, rounded
from cnnpipe.evaluation.detection import judged_of
from cnnpipe.evaluation.detection_counts import (
    BACKGROUND,
    detection_confusion,
    pairs_of_classes,
    total,
)
from cnnpipe.evaluation.detection_faults import faults_by_picture, worst_first
from cnnpipe.evaluation.detection_suite import (
    DetectorJudgement,
    detection_metrics,
    judge_detections,
    num_objects_by_size,
    undefined_notes,
)
from cnnpipe.evaluation.predictions import Detection, DetectPrediction, TrueObject
from cnnpipe.geometry.boxes import Box
from cnnpipe.inference.detector import Detector, Found, detect_view, load_detector
from cnnpipe.reports import csv_files
from cnnpipe.reports.detect_plots import detection_figures
from cnnpipe.reports.experiment_detect import DetectReport, detect_page
from cnnpipe.reports.judged_scenes import answers_of, said_of
from cnnpipe.reports.judgement import Asked, Judgement
from cnnpipe.reports.scenes import Scene, draw_scene, that_fit
from cnnpipe.reports.training_plot import learning_svg


class _Judged(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One split: its predictions, and what they are worth."""

    predictions: list[DetectPrediction]
    judged: DetectorJudgement
    metrics: dict[str, float]
    notes: list[str]


def judge(asked: Asked) -> Judgement:
    """Return everything that is written of a detection experiment.

    Raises:
        ModelError: the bundle is damaged.
        DataError: the view is damaged, or of another task.
    """
    detector, opened = load_detector(asked.model), open_detect_view(asked.view)
    val = _judge(detector, opened, asked, "val")
    test = _judge(detector, opened, asked, "test")
    classes, said = detector.spec.classes, test.judged.said
    figures = detection_figures(detection_confusion(said), test.judged.curves, test.metrics)
    figures["learning_curve"] = learning_svg(asked.history, best_epoch=asked.run.best_epoch)
    metrics = _by_split("val", val.metrics) | _by_split("test", test.metrics)
    counts = total(test.judged.counts)
    report = DetectReport(
        name=asked.name,
        run=asked.run,
        model=detector.spec,
        params=asked.params,
        metrics=metrics,
        notes=[*(f"On val: {note}" for note in val.notes), *(f"On test: {note}" for note in test.notes)],
        num_samples={"val": len(val.predictions), "test": len(test.predictions)},
        num_objects=[int(number) for number in counts.truths],
        num_reported=[int(number) for number in counts.detections],
        objects_by_size=num_objects_by_size(test.judged),
        num_faulty=int((faults_by_picture(said) > 0).sum()),
        scenes=that_fit(_scenes(test, opened), limit=asked.params.worst_samples),
        num_epochs=len(asked.history),
        figures=figures,
    )
    return Judgement(
        metrics=metrics,
        val=val.predictions,
        test=test.predictions,
        truth=coco_truth(test.predictions, classes),
        results=coco_results(test.predictions, classes),
        tables=_tables(test.judged) | {"learning_curve.csv": csv_files.learning_curve_csv(asked.history)},
        figures=figures,
        page=detect_page(report),
    )


def predictions_of(
    detector: Detector, opened: OpenView[DetectSample], view: Path, split: Split
) -> list[DetectPrediction]:
    """Return truth and detections of every picture of a split.

    Args:
        detector: of the view's classes; it may have been trained on another view.
        opened: the view.
        view: its folder.
        split: val or test.
    """
    samples = [opened.samples[position] for position in positions_of(opened, split)]
    found = detect_view(detector, view, split)
    return [_prediction(*pair, detector.spec.classes) for pair in zip(samples, found, strict=True)]


def _judge(detector: Detector, opened: OpenView[DetectSample], asked: Asked, split: Split) -> _Judged:
    spec, params = detector.spec, asked.params
    predictions = predictions_of(detector, opened, asked.view, split)
    groups = [prediction.group for prediction in predictions]
    judged = judge_detections(judged_of(predictions, spec.classes), spec.classes, spec.thresholds, groups)
    if not predictions:
        notes = ["there is no picture, so no metric."]
        return _Judged(predictions=[], judged=judged, metrics={}, notes=notes)
    metrics = detection_metrics(
        judged, seed=params.seed, num_resamples=params.bootstrap_samples, confidence=params.confidence
    )
    return _Judged(predictions=predictions, judged=judged, metrics=metrics, notes=undefined_notes(judged))


def _prediction(sample: DetectSample, found: Found, classes: Sequence[str]) -> DetectPrediction:
    """Return truth and detections in pixels of the picture as it was annotated."""
    scale = np.array([sample.original_width / sample.width, sample.original_height / sample.height] * 2)
    truth_N4 = rounded(
        np.array([msgspec.structs.astuple(box) for box in sample.boxes]).reshape(-1, 4) * scale
    )
    objects = zip(sample.region, sample.class_index, truth_N4.tolist(), strict=True)
    boxes_N4 = rounded(found.boxes_N4)
    has_area_N = (boxes_N4[:, 2:] > boxes_N4[:, :2]).all(axis=1)
    columns = (found.class_index_N, found.scores_N, boxes_N4)
    detections = zip(*(column[has_area_N].tolist() for column in columns), strict=True)
    return DetectPrediction(
        image_id=sample.image_id,
        group=sample.group,
        width=sample.original_width,
        height=sample.original_height,
        objects=[
            TrueObject(region=region, label=classes[index], box=Box(*corners))
            for region, index, corners in objects
        ],
        detections=[
            Detection(label=classes[index], score=score, box=Box(*corners))
            for index, score, corners in detections
        ],
    )


def _by_split(split: Split, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}/{name}": value for name, value in metrics.items()}


def _scenes(test: _Judged, opened: OpenView[DetectSample]) -> Iterator[Scene]:
    """Yield the test pictures, those with most faults first."""
    positions, said = positions_of(opened, "test"), test.judged.said
    answers, faults_I = answers_of(test.predictions, said), faults_by_picture(said)
    for number in worst_first([faults_I]):
        prediction = test.predictions[number]
        yield draw_scene(
            picture_at(opened, positions[number]),
            [("truth", answers.truths[number]), ("detections", answers.reported[number])],
            title=prediction.image_id,
            said=said_of(answers.truths[number], answers.reported[number]),
            size=(prediction.width, prediction.height),
        )


def _tables(judged: DetectorJudgement) -> dict[str, str]:
    names = [*judged.classes, BACKGROUND]
    return {
        "confusion_matrix.csv": csv_files.confusion_matrix_csv(detection_confusion(judged.said), names),
        "labels.csv": csv_files.labels_csv(*pairs_of_classes(judged.said), names),
        "pr_curve.csv": csv_files.precision_recall_csv(judged.curves),
        "roc_curve.csv": csv_files.roc_csv(judged.curves),
    }
