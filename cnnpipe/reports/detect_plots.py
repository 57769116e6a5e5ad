"""The figures of one detection experiment, by name: results/<exp>/plots/<name>.svg."""

from collections.abc import Mapping, Sequence

from cnnpipe.evaluation.arrays import Ints
from cnnpipe.evaluation.comparison import measured
from cnnpipe.evaluation.curves import ClassCurves
from cnnpipe.evaluation.detection_counts import BACKGROUND
from cnnpipe.reports.bars_plot import bars_svg
from cnnpipe.reports.confusion_plot import confusion_svg
from cnnpipe.reports.curve_plots import OperatingPoint, PrecisionRecallNotes, precision_recall_svg, roc_svg


def detection_figures(
    confusion: Ints, curves: Sequence[ClassCurves], metrics: Mapping[str, float]
) -> dict[str, str]:
    """Return the figures of the test split as SVG; each is there even where there is nothing to draw.

    Args:
        confusion: with the background, (K + 1, K + 1).
        curves: of each class.
        metrics: of the same, by the names of `detection_suite.detection_metrics`.
    """
    classes = [of_class.label for of_class in curves]
    points = {
        label: OperatingPoint(precision=metrics[f"precision/{label}"], recall=metrics[f"recall/{label}"])
        for label in classes
        if f"precision/{label}" in metrics and f"recall/{label}" in metrics
    }
    areas = {label: metrics[f"ap_50/{label}"] for label in classes if f"ap_50/{label}" in metrics}
    notes = PrecisionRecallNotes(areas=areas, area_name="AP at an IoU of 0.5", points=points)
    ap_50 = [measured(metrics, f"ap_50/{label}") for label in classes]
    return {
        "confusion_matrix": confusion_svg(confusion, [*classes, BACKGROUND], counted="objects"),
        "pr_curve": precision_recall_svg(curves, notes),
        "roc_curve": roc_svg(curves, without_curves="Each class is in every picture, or in none."),
        "ap_50": bars_svg(classes, {"test": ap_50}, xlabel="AP at an IoU of 0.5"),
    }
