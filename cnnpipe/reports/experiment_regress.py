"""The page of a regression experiment: results/<exp>/report.html."""

from collections.abc import Sequence
from typing import Final

import msgspec

from cnnpipe.reports.definitions_regress import REGRESS_OVERALL
from cnnpipe.reports.experiment import ExperimentReport, shared_values
from cnnpipe.reports.pages import render

_HEADLINES: Final = ("mae", "rmse", "r2")


class Miss(msgspec.Struct, frozen=True, kw_only=True):
    """A test sample and how far off its prediction is."""

    image_id: str
    region: int | None
    truth: float
    predicted: float
    picture: str  # `data:` address

    @property
    def error(self) -> float:
        """Prediction minus truth."""
        return self.predicted - self.truth


class RegressReport(ExperimentReport, frozen=True, kw_only=True):
    """Everything the page shows."""

    mean_error: float  # of test, prediction minus truth
    truth_range: tuple[float, float]  # of test
    misses: Sequence[Miss]  # the largest errors of test first


def regress_page(report: RegressReport) -> str:
    """Return the page as self-contained HTML."""
    return render(
        "experiment_regress.html",
        **shared_values(report, REGRESS_OVERALL, headlines=_HEADLINES),
        attribute=report.model.label_attribute,
    )
