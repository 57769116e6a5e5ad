"""The figures of one classification experiment, by name: results/<exp>/plots/<name>.svg."""

from collections.abc import Mapping, Sequence

from cnnpipe.evaluation.arrays import Scored
from cnnpipe.evaluation.calibration import reliability
from cnnpipe.evaluation.comparison import measured
from cnnpipe.evaluation.confusion import confusion_matrix
from cnnpipe.evaluation.curves import ClassCurves
from cnnpipe.reports.bars_plot import bars_svg
from cnnpipe.reports.calibration_plot import reliability_svg
from cnnpipe.reports.confusion_plot import confusion_svg
from cnnpipe.reports.curve_plots import precision_recall_svg, roc_svg


def classification_figures(
    scored: Scored, curves: Sequence[ClassCurves], metrics: Mapping[str, float]
) -> dict[str, str]:
    """Return the figures of the test split as SVG; each is there even where there is nothing to draw.

    Args:
        scored: truth and scores of test.
        curves: of the same.
        metrics: the metrics of the same, by the names of `suite.classification_metrics`.
    """
    matrix = confusion_matrix(scored.truth, scored.predicted, num_classes=len(scored.classes))
    f1 = [measured(metrics, f"f1/{label}") for label in scored.classes]
    return {
        "confusion_matrix": confusion_svg(matrix, scored.classes),
        "pr_curve": precision_recall_svg(curves),
        "roc_curve": roc_svg(curves),
        "reliability": reliability_svg(reliability(scored.truth, scored.scores)),
        "f1": bars_svg(scored.classes, {"test": f1}, xlabel="F1"),
    }
