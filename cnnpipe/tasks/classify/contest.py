"""An older champion beside today's candidate: both classifiers judged on today's view."""

from pathlib import Path

from cnnpipe import files
from cnnpipe.datasets.packs import open_view
from cnnpipe.evaluation.arrays import stack
from cnnpipe.evaluation.pairing import contest_of
from cnnpipe.evaluation.predictions import METRICS_FILE, PREDICTIONS_FILE, Prediction
from cnnpipe.evaluation.promotion import Contest
from cnnpipe.evaluation.suite import classification_metrics
from cnnpipe.inference.classifier import load_classifier
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.tasks.classify.comparison import resampled_of
from cnnpipe.tasks.classify.judgement import predictions_of


def contest(champion: Path, results: Path, view: Path, params: CompareParams) -> Contest:
    """Return what a classifier is worth on today's data, and how far the candidate leads there.

    Args:
        champion: folder of its bundle; of the view's classes.
        results: of the candidate, judged on `view`.
        view: today's.
        params: section `compare`.

    Raises:
        ModelError: the bundle is damaged, or of a network that is no longer known.
        DataError: the view or the results are missing, damaged, or do not fit.
    """
    metric = str(params.classify)
    classifier, opened = load_classifier(champion), open_view(view)
    classes = classifier.spec.classes
    val = stack(predictions_of(classifier, opened, view, "val"), classes)
    test = stack(predictions_of(classifier, opened, view, "test"), classes)
    drawing = {"seed": params.seed, "num_resamples": params.bootstrap_samples}
    candidate = stack(files.read_jsonl(results / PREDICTIONS_FILE, Prediction), classes)
    return contest_of(
        metric,
        val=classification_metrics(val, **drawing, confidence=params.confidence) if len(val.truth) else {},
        test=classification_metrics(test, **drawing, confidence=params.confidence),
        candidate=files.read_json(results / METRICS_FILE, dict[str, float]),
        resampled=(resampled_of(candidate, metric, params), resampled_of(test, metric, params)),
        confidence=params.confidence,
    )
