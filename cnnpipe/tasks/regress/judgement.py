"""Judge a regressor on val and test.

Choices are made on val and reported on test, so figures and the largest errors are of test; of val there are
the metrics and the predictions. What `evaluate` writes of every task and there are no classes for is written
without a line: the tables of classes are their heads, the COCO files name the pictures and no object.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import OpenView, open_regress_view, picture_at, positions_of
from cnnpipe.datasets.records import RegressSample
from cnnpipe.evaluation.coco_files import CocoImage, CocoTruth
from cnnpipe.evaluation.predictions import ValuePrediction
from cnnpipe.evaluation.regression import Valued, regression_metrics, stack_values, undefined_value_notes
from cnnpipe.inference.regressor import Regressor, load_regressor, predict_values
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports import csv_files
from cnnpipe.reports.experiment_regress import Miss, RegressReport, regress_page
from cnnpipe.reports.judgement import Asked, Judgement
from cnnpipe.reports.regress_plots import regression_figures
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.reports.training_plot import learning_svg

_NO_BOXES: Final = "task regress predicts a number of each picture, and no object: see predictions.jsonl"


class _Judged(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One split: its predictions, and what they are worth."""

    predictions: list[ValuePrediction]
    valued: Valued
    metrics: dict[str, float]
    notes: list[str]


def judge(asked: Asked) -> Judgement:
    """Return everything that is written of a regression experiment.

    Raises:
        ModelError: the bundle is damaged, or of another task.
        DataError: the view is damaged, or of another task.
    """
    regressor, opened = load_regressor(asked.model), open_regress_view(asked.view)
    val = _judge(regressor, opened, asked, "val")
    test = _judge(regressor, opened, asked, "test")
    figures = regression_figures(test.valued, attribute=regressor.target.attribute)
    figures["learning_curve"] = learning_svg(
        asked.history, best_epoch=asked.run.best_epoch, errors=("mae", "rmse")
    )
    truth = test.valued.truth
    report = RegressReport(
        name=asked.name,
        run=asked.run,
        model=regressor.spec,
        params=asked.params,
        metrics=_by_split("val", val.metrics) | _by_split("test", test.metrics),
        notes=[*(f"On val: {note}" for note in val.notes), *(f"On test: {note}" for note in test.notes)],
        num_samples={"val": len(val.predictions), "test": len(test.predictions)},
        mean_error=float(test.valued.error.mean()),
        truth_range=(float(truth.min()), float(truth.max())),
        misses=_misses(test, opened, limit=asked.params.worst_samples),
        num_epochs=len(asked.history),
        figures=figures,
    )
    return Judgement(
        metrics=dict(report.metrics),
        val=val.predictions,
        test=test.predictions,
        truth=_pictures_without_objects(opened),
        results=[],
        tables=_tables() | {"learning_curve.csv": csv_files.learning_curve_csv(asked.history)},
        figures=figures,
        page=regress_page(report),
    )


def predictions_of(
    regressor: Regressor, opened: OpenView[RegressSample], view: Path, split: Split
) -> list[ValuePrediction]:
    """Return truth and prediction of every sample of a split.

    Args:
        regressor: of the view's attribute; it may have been trained on another view.
        opened: the view.
        view: its folder.
        split: val or test.
    """
    samples = [opened.samples[position] for position in positions_of(opened, split)]
    return [
        ValuePrediction(
            image_id=sample.image_id,
            region=sample.region,
            group=sample.group,
            truth=sample.value,
            value=value,
        )
        for sample, value in zip(samples, predict_values(regressor, view, split).tolist(), strict=True)
    ]


def _judge(regressor: Regressor, opened: OpenView[RegressSample], asked: Asked, split: Split) -> _Judged:
    predictions = predictions_of(regressor, opened, asked.view, split)
    valued = stack_values(predictions)
    if not predictions:
        return _Judged(predictions=[], valued=valued, metrics={}, notes=["there is no sample, so no metric."])
    return _Judged(
        predictions=predictions,
        valued=valued,
        metrics=_metrics(valued, asked.params),
        notes=undefined_value_notes(valued),
    )


def _metrics(valued: Valued, params: EvaluateParams) -> dict[str, float]:
    return regression_metrics(
        valued, seed=params.seed, num_resamples=params.bootstrap_samples, confidence=params.confidence
    )


def _by_split(split: Split, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}/{name}": value for name, value in metrics.items()}


def _misses(test: _Judged, opened: OpenView[RegressSample], *, limit: int) -> list[Miss]:
    positions = positions_of(opened, "test")
    misses = []
    for index in np.argsort(-np.abs(test.valued.error), kind="stable")[:limit].tolist():
        prediction = test.predictions[index]
        misses.append(
            Miss(
                image_id=prediction.image_id,
                region=prediction.region,
                truth=prediction.truth,
                predicted=prediction.value,
                picture=thumbnail_uri(picture_at(opened, positions[index])),
            )
        )
    return misses


def _pictures_without_objects(opened: OpenView[RegressSample]) -> CocoTruth:
    samples = [opened.samples[position] for position in positions_of(opened, "test")]
    images = [
        CocoImage(id=number, file_name=sample.sample_id, width=sample.width, height=sample.height)
        for number, sample in enumerate(samples, start=1)
    ]
    return CocoTruth(info={"description": _NO_BOXES}, images=images, annotations=[], categories=[])


def _tables() -> dict[str, str]:
    nothing = np.zeros(0, dtype=np.int64)
    return {
        "confusion_matrix.csv": csv_files.confusion_matrix_csv(nothing.reshape(0, 0), []),
        "labels.csv": csv_files.labels_csv(nothing, nothing, []),
        "pr_curve.csv": csv_files.precision_recall_csv([]),
        "roc_curve.csv": csv_files.roc_csv([]),
    }
