"""What each metric of a regressor means, in the words of the reports."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cnnpipe.reports.definitions import Definition

# y: the truth, ŷ: what was predicted, ȳ: mean of the truths of the split, N: samples
REGRESS_OVERALL: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "mae": Definition(
            "MAE", "Σ |ŷ − y| / N", "mean absolute error, in the unit of the attribute; smaller is better"
        ),
        "rmse": Definition(
            "RMSE",
            "√MSE",
            "root mean squared error, in the unit of the attribute: large errors count for more; "
            "smaller is better",
        ),
        "mse": Definition(
            "MSE", "Σ (ŷ − y)² / N", "mean squared error, in the square of the unit; smaller is better"
        ),
        "r2": Definition(
            "R²",
            "1 − Σ (ŷ − y)² / Σ (y − ȳ)²",
            "share of the variance that is explained: 1 is best, 0 is what ȳ for every sample would have, "
            "below 0 is worse than that",
        ),
    }
)
