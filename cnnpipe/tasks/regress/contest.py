"""An older champion beside today's candidate: both regressors judged on today's view."""

from pathlib import Path

from cnnpipe import files
from cnnpipe.datasets.packs import open_regress_view
from cnnpipe.evaluation.pairing import contest_of
from cnnpipe.evaluation.predictions import METRICS_FILE, PREDICTIONS_FILE, ValuePrediction
from cnnpipe.evaluation.promotion import Contest
from cnnpipe.evaluation.regression import regression_metrics, stack_values
from cnnpipe.inference.regressor import load_regressor
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.tasks.regress.comparison import resampled_of
from cnnpipe.tasks.regress.judgement import predictions_of


def contest(champion: Path, results: Path, view: Path, params: CompareParams) -> Contest:
    """Return what a regressor is worth on today's data, and how far the candidate differs there.

    Args:
        champion: folder of its bundle; of the view's attribute.
        results: of the candidate, judged on `view`.
        view: today's.
        params: section `compare`.

    Raises:
        ModelError: the bundle is damaged, or of a network that is no longer known.
        DataError: the view or the results are missing, damaged, or do not fit.
    """
    metric = str(params.regress)
    regressor, opened = load_regressor(champion), open_regress_view(view)
    val = stack_values(predictions_of(regressor, opened, view, "val"))
    test = stack_values(predictions_of(regressor, opened, view, "test"))
    drawing = {"seed": params.seed, "num_resamples": params.bootstrap_samples}
    candidate = stack_values(files.read_jsonl(results / PREDICTIONS_FILE, ValuePrediction))
    return contest_of(
        metric,
        val=regression_metrics(val, **drawing, confidence=params.confidence) if len(val.truth) else {},
        test=regression_metrics(test, **drawing, confidence=params.confidence),
        candidate=files.read_json(results / METRICS_FILE, dict[str, float]),
        resampled=(resampled_of(candidate, metric, params), resampled_of(test, metric, params)),
        confidence=params.confidence,
    )
