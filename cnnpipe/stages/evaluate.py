"""Stage `evaluate`: one trained experiment judged on val and test, with the full suite of metrics.

Choices are made on val and reported on test. How an experiment is judged belongs to its task; what is written
is the same for all. Records to MLflow beside its files.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from cnnpipe import files
from cnnpipe.datasets.records import VIEW_FILE, View
from cnnpipe.errors import DataError, ModelError
from cnnpipe.evaluation.predictions import (
    COCO_PREDICTIONS_FILE,
    COCO_TRUTH_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    VAL_PREDICTIONS_FILE,
)
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.reports.judgement import Asked, Judgement
from cnnpipe.tasks.classify import judgement as classify
from cnnpipe.tasks.detect import judgement as detect
from cnnpipe.tasks.regress import judgement as regress
from cnnpipe.tracking import projection
from cnnpipe.training.records import HISTORY_FILE, RUN_FILE, Epoch, RunRecord

MAIN_METRIC: Final[Mapping[str, str]] = MappingProxyType(
    {"classify": "accuracy", "detect": "map_50", "regress": "mae"}
)

_JUDGES: Final[Mapping[str, Callable[[Asked], Judgement]]] = MappingProxyType(
    {"classify": classify.judge, "detect": detect.judge, "regress": regress.judge}
)


class EvaluateInputs(NamedTuple):
    """What is judged, and on what."""

    model: Path  # models/<exp>
    view: Path  # data/augmented/<task>


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
    spec = _read_spec(inputs.model)
    _check_they_fit(spec, inputs)
    asked = Asked(
        name=name,
        model=inputs.model,
        view=inputs.view,
        run=files.read_json(inputs.model / RUN_FILE, RunRecord),
        history=files.read_jsonl(inputs.model / HISTORY_FILE, Epoch),
        params=params,
    )
    judgement = _JUDGES[spec.task](asked)
    _write(out, judgement)
    projection.ensure_run_if_reachable(inputs.model, out)
    return judgement.metrics


def _read_spec(folder: Path) -> ModelSpec:
    try:
        return files.read_json(folder / MODEL_FILE, ModelSpec)
    except DataError as error:
        fix = "restore the folder (dvc checkout), or train again"
        raise ModelError(str(folder / MODEL_FILE), error.what, fix) from error


def _check_they_fit(spec: ModelSpec, inputs: EvaluateInputs) -> None:
    view = files.read_json(inputs.view / VIEW_FILE, View)
    if spec.data_sha256 != files.sha256_of_file(inputs.view / VIEW_FILE):
        raise ModelError(
            str(inputs.model),
            f"was trained on another view than the one in {inputs.view}",
            "train it again (dvc repro does), or restore both (dvc checkout)",
        )
    if not view.num_samples.get("test"):
        raise DataError(
            str(inputs.view),
            "no sample is in the split test, so there is nothing to report",
            "raise split.test_fraction, or pin pictures to test in data/splits_pinned.jsonl",
        )


def _write(out: Path, judgement: Judgement) -> None:
    """Write everything; the metrics last, as they say that the rest is there."""
    files.write_jsonl(out / PREDICTIONS_FILE, judgement.test)
    files.write_jsonl(out / VAL_PREDICTIONS_FILE, judgement.val)
    files.write_json(out / COCO_TRUTH_FILE, judgement.truth)
    files.write_json(out / COCO_PREDICTIONS_FILE, judgement.results)
    for file, table in judgement.tables.items():
        files.write_text(out / file, table)
    with files.whole_folder(out / "plots") as plots:
        for name, svg in judgement.figures.items():
            files.write_text(plots / f"{name}.svg", svg)
    files.write_text(out / "report.html", judgement.page)
    files.write_json(out / METRICS_FILE, judgement.metrics)
