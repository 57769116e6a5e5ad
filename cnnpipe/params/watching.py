"""What an experiment may watch: the numbers of val by name, and which of them are better when smaller.

The names stand here so that params are checked without importing what computes them.
"""

from collections.abc import Collection
from typing import Final

from cnnpipe.params.load import did_you_mean

# every other number that is reported is better when larger
_SMALLER_IS_BETTER: Final = frozenset({"loss", "log_loss", "calibration_error", "mae", "mse", "rmse"})

# of evaluation/suite.py
CLASSIFY_METRICS: Final = (
    *("loss", "accuracy"),
    *(f"{name}_{mean}" for name in ("precision", "recall", "f1") for mean in ("micro", "macro", "weighted")),
    *("average_precision_macro", "average_precision_interpolated_macro", "break_even_macro", "roc_auc_macro"),
    *("log_loss", "calibration_error"),
)
CLASSIFY_METRICS_OF_A_CLASS: Final = (
    *("precision", "recall", "f1", "specificity", "negative_precision"),
    *("average_precision", "average_precision_interpolated", "break_even", "roc_auc"),
)
# of evaluation/detection.py
DETECT_METRICS: Final = (
    *("loss", "map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)


def is_better_when_smaller(metric: str) -> bool:
    """Return whether a metric of val, named as in `watch`, improves as it falls."""
    return metric in _SMALLER_IS_BETTER


def check_watched(metric: str, known: Collection[str], of_a_class: Collection[str] = ()) -> None:
    """Check the name of a metric, but for the class in it, which only the view knows.

    Args:
        metric: e.g. f1_macro, or recall/cat.
        known: what is measured over all classes.
        of_a_class: what is measured of one class, too, as `<name>/<class>`.

    Raises:
        ValueError: it is not measured; the message lists what is.
    """
    name, slash, label = metric.partition("/")
    if metric in known or (slash and label and name in of_a_class):
        return
    per_class = [f"{name}/<class>" for name in of_a_class]
    near = did_you_mean(metric, known) or did_you_mean(name, of_a_class)
    raise ValueError(f"watch is {metric!r}; {near}what can be watched: {', '.join([*known, *per_class])}")
