"""Judge a classifier on val and test, with the full suite of metrics.

Choices are made on val and reported on test, so curves, figures and mistakes are of test; of val there are
the metrics and the predictions.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, open_view, picture_at, positions_of
from cnnpipe.datasets.records import Sample
from cnnpipe.evaluation.agreement import confident_mistakes
from cnnpipe.evaluation.arrays import Scored, stack
from cnnpipe.evaluation.coco_files import coco_results, coco_truth
from cnnpipe.evaluation.confusion import confusion_matrix
from cnnpipe.evaluation.curves import ClassCurves, curves_of
from cnnpipe.evaluation.predictions import Detection, DetectPrediction, Prediction, TrueObject
from cnnpipe.evaluation.suite import classification_metrics, undefined_notes
from cnnpipe.geometry.boxes import Box
from cnnpipe.inference.classifier import Classifier, load_classifier, predict_view
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports import csv_files
from cnnpipe.reports.experiment_classify import ClassifyReport, Mistake, classify_page
from cnnpipe.reports.judgement import Asked, Judgement
from cnnpipe.reports.plots import classification_figures
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.reports.training_plot import learning_svg


class _Judged(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One split: its predictions, and what they are worth."""

    predictions: list[Prediction]
    scored: Scored
    metrics: dict[str, float]
    notes: list[str]


def judge(asked: Asked) -> Judgement:
    """Return everything that is written of a classification experiment.

    Raises:
        ModelError: the bundle is damaged.
        DataError: the view is damaged, or of another task.
    """
    classifier, opened = load_classifier(asked.model), open_view(asked.view)
    val = _judge(classifier, opened, asked, "val")
    test = _judge(classifier, opened, asked, "test")
    curves = curves_of(test.scored)
    figures = classification_figures(test.scored, curves, test.metrics)
    figures["learning_curve"] = learning_svg(asked.history, best_epoch=asked.run.best_epoch)
    report = ClassifyReport(
        name=asked.name,
        run=asked.run,
        model=classifier.spec,
        params=asked.params,
        metrics=_by_split("val", val.metrics) | _by_split("test", test.metrics),
        notes=[*(f"On val: {note}" for note in val.notes), *(f"On test: {note}" for note in test.notes)],
        num_samples={"val": len(val.predictions), "test": len(test.predictions)},
        class_sizes=np.bincount(test.scored.truth, minlength=len(classifier.spec.classes)).tolist(),
        num_mistakes=int((test.scored.predicted != test.scored.truth).sum()),
        mistakes=_mistakes(test, opened, limit=asked.params.worst_samples),
        num_epochs=len(asked.history),
        figures=figures,
    )
    boxed = _boxed(test, opened)
    return Judgement(
        metrics=dict(report.metrics),
        val=val.predictions,
        test=test.predictions,
        truth=coco_truth(boxed, classifier.spec.classes),
        results=coco_results(boxed, classifier.spec.classes),
        tables=_tables(test.scored, curves)
        | {"learning_curve.csv": csv_files.learning_curve_csv(asked.history)},
        figures=figures,
        page=classify_page(report),
    )


def predictions_of(
    classifier: Classifier, opened: OpenView[Sample], view: Path, split: Split
) -> list[Prediction]:
    """Return truth and scores of every sample of a split.

    Args:
        classifier: of the view's classes; it may have been trained on another view.
        opened: the view.
        view: its folder.
        split: val or test.
    """
    samples = [opened.samples[position] for position in positions_of(opened, split)]
    scores_NK = predict_view(classifier, view, split).tolist()
    return [
        Prediction(
            image_id=sample.image_id,
            region=sample.region,
            group=sample.group,
            label=sample.label,
            scores=dict(zip(classifier.spec.classes, scores_K, strict=True)),
        )
        for sample, scores_K in zip(samples, scores_NK, strict=True)
    ]


def _judge(classifier: Classifier, opened: OpenView[Sample], asked: Asked, split: Split) -> _Judged:
    predictions = predictions_of(classifier, opened, asked.view, split)
    scored = stack(predictions, classifier.spec.classes)
    if not predictions:
        return _Judged(predictions=[], scored=scored, metrics={}, notes=["there is no sample, so no metric."])
    return _Judged(
        predictions=predictions,
        scored=scored,
        metrics=_metrics(scored, asked.params),
        notes=undefined_notes(scored),
    )


def _metrics(scored: Scored, params: EvaluateParams) -> dict[str, float]:
    return classification_metrics(
        scored, seed=params.seed, num_resamples=params.bootstrap_samples, confidence=params.confidence
    )


def _by_split(split: Split, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}/{name}": value for name, value in metrics.items()}


def _mistakes(test: _Judged, opened: OpenView[Sample], *, limit: int) -> list[Mistake]:
    positions, classes = positions_of(opened, "test"), test.scored.classes
    mistakes = []
    for index in confident_mistakes(test.scored, limit=limit):
        prediction, predicted = test.predictions[index], classes[test.scored.predicted[index]]
        mistakes.append(
            Mistake(
                image_id=prediction.image_id,
                region=prediction.region,
                truth=prediction.label,
                predicted=predicted,
                score=prediction.scores[predicted],
                score_of_truth=prediction.scores[prediction.label],
                picture=thumbnail_uri(picture_at(opened, positions[index])),
            )
        )
    return mistakes


def _boxed(test: _Judged, opened: OpenView[Sample]) -> list[DetectPrediction]:
    """Return the samples as pictures with one object each, all of the sample, and one detection of it."""
    boxed = []
    for index, position in enumerate(positions_of(opened, "test")):
        sample, predicted = opened.samples[position], int(test.scored.predicted[index])
        whole = Box(0.0, 0.0, float(sample.width), float(sample.height))
        label, score = test.scored.classes[predicted], float(test.scored.scores[index, predicted])
        boxed.append(
            DetectPrediction(
                image_id=sample.sample_id,
                group=sample.group,
                width=sample.width,
                height=sample.height,
                objects=[TrueObject(region=sample.region or 0, label=sample.label, box=whole)],
                detections=[Detection(label=label, score=score, box=whole)],
            )
        )
    return boxed


def _tables(test: Scored, curves: list[ClassCurves]) -> dict[str, str]:
    matrix = confusion_matrix(test.truth, test.predicted, num_classes=len(test.classes))
    return {
        "confusion_matrix.csv": csv_files.confusion_matrix_csv(matrix, test.classes),
        "labels.csv": csv_files.labels_csv(test.truth, test.predicted, test.classes),
        "pr_curve.csv": csv_files.precision_recall_csv(curves),
        "roc_curve.csv": csv_files.roc_csv(curves),
    }
