"""Stage `evaluate`: one trained experiment judged on val and test, with the full suite of metrics.

Choices are made on val and reported on test, so curves, figures and mistakes are of test; of val there are
the metrics and the predictions. Records to MLflow beside its files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, open_view, picture_at, positions_of
from cnnpipe.datasets.records import VIEW_FILE
from cnnpipe.errors import DataError, ModelError
from cnnpipe.evaluation.agreement import confident_mistakes
from cnnpipe.evaluation.arrays import Scored, stack
from cnnpipe.evaluation.curves import ClassCurves, curves_of
from cnnpipe.evaluation.predictions import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    VAL_PREDICTIONS_FILE,
    Prediction,
)
from cnnpipe.evaluation.suite import classification_metrics, undefined_notes
from cnnpipe.inference.classifier import Classifier, load_classifier, predict_view
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports import csv_files
from cnnpipe.reports.experiment import ExperimentReport, Mistake, experiment_page
from cnnpipe.reports.plots import classification_figures
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.reports.training_plot import learning_svg
from cnnpipe.tracking import projection
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord

_SPLITS: Final[tuple[Split, Split]] = ("val", "test")


class EvaluateInputs(NamedTuple):
    """What is judged, and on what."""

    model: Path  # models/<exp>
    view: Path  # data/augmented/<task>


class _Judged(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One split: its predictions, and what they are worth."""

    predictions: list[Prediction]
    scored: Scored
    metrics: dict[str, float]
    notes: list[str]


def evaluate(name: str, inputs: EvaluateInputs, out: Path, params: EvaluateParams) -> dict[str, float]:
    """Write metrics, predictions, curves, figures and the page of one experiment; return the metrics.

    Args:
        name: of the experiment.
        inputs: the bundle, and the view it was trained on.
        out: results/<exp>; each file in it is written whole.
        params: section `evaluate`.

    Raises:
        ModelError: the bundle is damaged, or was trained on another view.
        DataError: the view is damaged, or has no test sample.
    """
    classifier, opened = load_classifier(inputs.model), open_view(inputs.view)
    _check_they_fit(classifier, opened, inputs)
    run = files.read_json(inputs.model / RUN_FILE, RunRecord)
    history = files.read_jsonl(inputs.model / HISTORY_FILE, Epoch)
    val, test = (_judge(classifier, opened, inputs.view, split, params) for split in _SPLITS)
    curves = curves_of(test.scored)
    figures = classification_figures(test.scored, curves, test.metrics)
    figures["learning_curve"] = learning_svg(history, best_epoch=run.best_epoch)
    report = ExperimentReport(
        name=name,
        run=run,
        model=classifier.spec,
        params=params,
        metrics=_by_split("val", val.metrics) | _by_split("test", test.metrics),
        notes=[*(f"On val: {note}" for note in val.notes), *(f"On test: {note}" for note in test.notes)],
        num_samples={"val": len(val.predictions), "test": len(test.predictions)},
        class_sizes=np.bincount(test.scored.truth, minlength=len(classifier.spec.classes)).tolist(),
        num_mistakes=int((test.scored.predicted != test.scored.truth).sum()),
        mistakes=_mistakes(test, opened, limit=params.worst_samples),
        num_epochs=len(history),
        figures=figures,
    )
    files.write_jsonl(out / PREDICTIONS_FILE, test.predictions)
    files.write_jsonl(out / VAL_PREDICTIONS_FILE, val.predictions)
    _write_tables(out, test.scored, curves, history)
    _write_report(out, report)
    projection.ensure_run_if_reachable(inputs.model, out)
    return dict(report.metrics)


def _check_they_fit(classifier: Classifier, opened: OpenView, inputs: EvaluateInputs) -> None:
    if classifier.spec.data_sha256 != files.sha256_of_file(inputs.view / VIEW_FILE):
        raise ModelError(
            str(inputs.model),
            f"was trained on another view than the one in {inputs.view}",
            "train it again (dvc repro does), or restore both (dvc checkout)",
        )
    if not positions_of(opened, "test"):
        raise DataError(
            str(inputs.view),
            "no sample is in the split test, so there is nothing to report",
            "raise split.test_fraction, or pin pictures to test in data/splits_pinned.jsonl",
        )


def _judge(
    classifier: Classifier, opened: OpenView, view: Path, split: Split, params: EvaluateParams
) -> _Judged:
    predictions = _predictions(classifier, opened, view, split)
    scored = stack(predictions, classifier.spec.classes)
    if not predictions:
        return _Judged(predictions=[], scored=scored, metrics={}, notes=["there is no sample, so no metric."])
    metrics = classification_metrics(
        scored, seed=params.seed, num_resamples=params.bootstrap_samples, confidence=params.confidence
    )
    return _Judged(predictions=predictions, scored=scored, metrics=metrics, notes=undefined_notes(scored))


def _predictions(classifier: Classifier, opened: OpenView, view: Path, split: Split) -> list[Prediction]:
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


def _by_split(split: Split, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}/{name}": value for name, value in metrics.items()}


def _mistakes(test: _Judged, opened: OpenView, *, limit: int) -> list[Mistake]:
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


def _write_tables(
    out: Path, test: Scored, curves: Sequence[ClassCurves], history: Sequence[Mapping[str, float]]
) -> None:
    files.write_text(out / "confusion_matrix.csv", csv_files.confusion_matrix_csv(test))
    files.write_text(out / "labels.csv", csv_files.labels_csv(test))
    files.write_text(out / "pr_curve.csv", csv_files.precision_recall_csv(curves))
    files.write_text(out / "roc_curve.csv", csv_files.roc_csv(curves))
    files.write_text(out / "learning_curve.csv", csv_files.learning_curve_csv(history))


def _write_report(out: Path, report: ExperimentReport) -> None:
    """Write figures, page and metrics; the metrics last, as they say that the rest is there."""
    with files.whole_folder(out / "plots") as plots:
        for name, svg in report.figures.items():
            files.write_text(plots / f"{name}.svg", svg)
    files.write_text(out / "report.html", experiment_page(report))
    files.write_json(out / METRICS_FILE, report.metrics)
