"""Sections `evaluate` and `compare`: intervals and what experiments are ranked by."""

from typing import Annotated, Literal

from pydantic import Field

from cnnpipe.params.section import Params


class EvaluateParams(Params):
    """Section `evaluate`: bootstrap over groups of pictures."""

    seed: int
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    worst_samples: Annotated[int, Field(ge=1, le=500)]


class CompareParams(Params):
    """Section `compare`. Experiments of a task are ranked by the metric of its name, on val."""

    classify: Literal["accuracy", "f1_macro", "roc_auc_macro"] | None = None
    detect: Literal["map_50", "map_50_95"] | None = None
    regress: Literal["mae", "mse", "rmse", "r2"] | None = None
    seed: int
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)]
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
