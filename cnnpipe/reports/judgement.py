"""What stage `evaluate` asks of a task, and what it gets back: the contents of results/<exp>/."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from cnnpipe.evaluation.coco_files import CocoResult, CocoTruth
from cnnpipe.evaluation.predictions import DetectPrediction, Prediction, ValuePrediction
from cnnpipe.params.evaluate import EvaluateParams
from cnnpipe.training.records import Epoch, RunRecord


class Asked(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One trained experiment, to be judged on its view."""

    name: str
    model: Path  # models/<exp>
    view: Path  # data/augmented/<task>
    run: RunRecord
    history: list[Epoch]
    params: EvaluateParams


class Judgement(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Everything that is written of an experiment."""

    metrics: dict[str, float]  # of metrics.json: val/<name>, test/<name>
    val: Sequence[Prediction | DetectPrediction | ValuePrediction]
    test: Sequence[Prediction | DetectPrediction | ValuePrediction]
    truth: CocoTruth  # of test, as `results`
    results: Sequence[CocoResult]
    tables: Mapping[str, str]  # file -> CSV
    figures: Mapping[str, str]  # name -> SVG
    page: str  # HTML
