"""When training ends and which epoch was best, for histories written out."""

from collections.abc import Sequence
from typing import Literal

import pytest
from toy_pictures import toy_params

from cnnpipe.training.records import Epoch
from cnnpipe.training.stopping import best_epoch, stop_reason


def history(values: Sequence[float], watch: str = "accuracy") -> list[Epoch]:
    return [{f"val/{watch}": value} for value in values]


@pytest.mark.parametrize(
    ("watch", "values", "expected"),
    [
        pytest.param("accuracy", [0.5, 0.7, 0.6], 2, id="the largest accuracy"),
        pytest.param("accuracy", [0.5, 0.7, 0.7], 2, id="the earlier of equals"),
        pytest.param("f1_macro", [0.1, 0.2], 2, id="the largest f1"),
        pytest.param("loss", [0.9, 0.4, 0.6], 2, id="the smallest loss"),
        pytest.param("loss", [0.4], 1, id="one epoch"),
    ],
)
def test_the_best_epoch(
    watch: Literal["accuracy", "f1_macro", "loss"], values: list[float], expected: int
) -> None:
    assert best_epoch(history(values, watch), watch) == expected


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "stops"),
    [
        pytest.param([], 1, 0.0, False, id="nothing seen yet"),
        pytest.param([0.5], 1, 0.0, False, id="the first epoch is a gain"),
        pytest.param([0.5, 0.5], 1, 0.0, True, id="equal is no gain"),
        pytest.param([0.5, 0.4], 2, 0.0, False, id="patience is left"),
        pytest.param([0.5, 0.4, 0.5], 2, 0.0, True, id="patience is used up"),
        pytest.param([0.5, 0.4, 0.6], 2, 0.0, False, id="a gain in time"),
        pytest.param([0.50, 0.52, 0.54], 2, 0.03, False, id="small gains add up"),
        pytest.param([0.50, 0.51, 0.52], 2, 0.03, True, id="gains too small"),
    ],
)
def test_early_stopping(values: list[float], patience: int, min_delta: float, stops: bool) -> None:
    early_stopping = {"patience_epochs": patience, "min_delta": min_delta}
    params = toy_params(epochs=100, early_stopping=early_stopping)
    assert stop_reason(history(values), params) == ("early_stopping" if stops else None)


def test_a_rising_loss_stops() -> None:
    early_stopping = {"patience_epochs": 2, "min_delta": 0.0}
    params = toy_params(epochs=100, watch="loss", early_stopping=early_stopping)
    assert stop_reason(history([0.5, 0.6, 0.7], "loss"), params) == "early_stopping"
    assert stop_reason(history([0.7, 0.6, 0.5], "loss"), params) is None


def test_epochs_end_training_first() -> None:
    early_stopping = {"patience_epochs": 1, "min_delta": 0.0}
    assert stop_reason(history([0.5, 0.4]), toy_params(epochs=2, early_stopping=early_stopping)) == "epochs"
    assert stop_reason(history([0.5, 0.4]), toy_params(epochs=3)) is None
