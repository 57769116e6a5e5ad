"""Classifiers that were trained and judged, as files: each knows the truth as well as a test wants it to."""

from collections.abc import Sequence
from pathlib import Path

import bundles
import numpy as np
from tiny_projects import ROOT

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.datasets.packs import open_view, positions_of
from cnnpipe.evaluation.arrays import stack
from cnnpipe.evaluation.comparison import Comparison
from cnnpipe.evaluation.predictions import Prediction
from cnnpipe.evaluation.suite import classification_metrics
from cnnpipe.params.document import Document
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.load import check, read_yaml
from cnnpipe.stages import compare as stage

_SPLIT_FILES: dict[Split, str] = {"val": "predictions_val.jsonl", "test": "predictions.jsonl"}


def add_experiment(
    project: Path, view: Path, name: str, *, classes: Sequence[str], strength: float, seed: int = 0
) -> None:
    """Write models/<name> and results/<name> of a network that knows the truth as well as `strength` says."""
    bundles.make_bundle(project / "models" / name, view, classes=classes, seed=seed)
    metrics: dict[str, float] = {}
    for split, file in _SPLIT_FILES.items():
        predictions = _predict(view, split, classes, strength=strength, seed=seed)
        files.write_jsonl(project / "results" / name / file, predictions)
        found = classification_metrics(stack(predictions, classes), seed=1, num_resamples=100, confidence=0.9)
        metrics |= {f"{split}/{metric}": value for metric, value in found.items()}
    files.write_json(project / "results" / name / "metrics.json", metrics)


def compare(project: Path, views: Path, params: CompareParams) -> Comparison:
    """Run stage `compare` on all classifiers of a project."""
    recipe = check(read_yaml(ROOT / "params.yaml"), Document, where="", section="").experiments["lenet"]
    names = sorted(path.name for path in (project / "models").iterdir())
    inputs = stage.CompareInputs(results=project / "results", models=project / "models", views=views)
    return stage.compare(inputs, dict.fromkeys(names, recipe), project / "comparison", params)


def _predict(
    view: Path, split: Split, classes: Sequence[str], *, strength: float, seed: int
) -> list[Prediction]:
    opened, generator, predictions = open_view(view), np.random.default_rng(seed), []
    for position in positions_of(opened, split):
        sample = opened.samples[position]
        scores = generator.dirichlet(np.ones(len(classes))) * (1 - strength)
        scores[sample.class_index] += strength
        predictions.append(
            Prediction(
                image_id=sample.image_id,
                region=sample.region,
                group=sample.group,
                label=sample.label,
                scores=dict(zip(classes, scores.tolist(), strict=True)),
            )
        )
    return predictions
