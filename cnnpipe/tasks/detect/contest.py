"""An older champion beside today's candidate: both detectors judged on today's view."""

from pathlib import Path

from cnnpipe import files
from cnnpipe.datasets.packs import open_detect_view
from cnnpipe.evaluation.detection_suite import detection_metrics
from cnnpipe.evaluation.pairing import contest_of
from cnnpipe.evaluation.predictions import METRICS_FILE, PREDICTIONS_FILE, DetectPrediction
from cnnpipe.evaluation.promotion import Contest
from cnnpipe.inference.detector import load_detector
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.tasks.detect.comparison import judgement_of, resampled_of
from cnnpipe.tasks.detect.judgement import predictions_of


def contest(champion: Path, results: Path, view: Path, params: CompareParams) -> Contest:
    """Return what a detector is worth on today's data, and how far the candidate leads there.

    Args:
        champion: folder of its bundle; of the view's classes.
        results: of the candidate, judged on `view`.
        view: today's.
        params: section `compare`.

    Raises:
        ModelError: the bundle is damaged, or of a network that is no longer known.
        DataError: the view or the results are missing, damaged, or do not fit.
    """
    metric = str(params.detect)
    detector, opened = load_detector(champion), open_detect_view(view)
    spec = detector.spec
    val = judgement_of(predictions_of(detector, opened, view, "val"), spec)
    test = judgement_of(predictions_of(detector, opened, view, "test"), spec)
    drawing = {"seed": params.seed, "num_resamples": params.bootstrap_samples}
    answers = files.read_jsonl(results / PREDICTIONS_FILE, DetectPrediction)
    # thresholds are each detector's own, and no part of the metrics that decide
    candidate = judgement_of(answers, spec)
    return contest_of(
        metric,
        val=detection_metrics(val, **drawing, confidence=params.confidence) if val.pictures else {},
        test=detection_metrics(test, **drawing, confidence=params.confidence),
        candidate=files.read_json(results / METRICS_FILE, dict[str, float]),
        resampled=(resampled_of(candidate, metric, params), resampled_of(test, metric, params)),
        confidence=params.confidence,
    )
