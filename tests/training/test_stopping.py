"""When training ends and which epoch was best, for histories written out."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_pictures import toy_params

from cnnpipe.training.records import Epoch, StopReason
from cnnpipe.training.stopping import best_epoch, is_time_over, num_steps, stop_reason


def history(values: Sequence[float], watch: str = "accuracy") -> list[Epoch]:
    return [{f"val/{watch}": value} for value in values]


@pytest.mark.parametrize(
    ("watch", "values", "expected"),
    [
        pytest.param("accuracy", [0.5, 0.7, 0.6], 2, id="the largest accuracy"),
        pytest.param("accuracy", [0.5, 0.7, 0.7], 2, id="the earlier of equals"),
        pytest.param("f1_macro", [0.1, 0.2], 2, id="the largest f1"),
        pytest.param("loss", [0.9, 0.4, 0.6], 2, id="the smallest loss"),
        pytest.param("mse", [0.9, 0.4, 0.6], 2, id="the smallest error"),
        pytest.param("r2", [-0.9, 0.4, 0.3], 2, id="the largest share explained"),
        pytest.param("calibration_error", [0.2, 0.1], 2, id="the smallest calibration error"),
        pytest.param("loss", [0.4], 1, id="one epoch"),
        pytest.param("roc_auc", [float("nan"), 0.1, 0.2], 3, id="what is not a number is worst"),
        pytest.param("roc_auc", [float("nan")] * 2, 1, id="no number at all"),
    ],
)
def test_the_best_epoch(watch: str, values: list[float], expected: int) -> None:
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


def rows(losses: Sequence[float], *, steps_per_epoch: int = 10) -> list[Epoch]:
    """Return a history whose accuracy gains all the time."""
    return [
        {
            "epoch": epoch,
            "step": epoch * steps_per_epoch,
            "train/loss": loss,
            "val/loss": loss + 0.1,
            "val/accuracy": epoch / 100,
        }
        for epoch, loss in enumerate(losses, start=1)
    ]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        pytest.param([0.5, 0.02], None, id="not yet"),
        pytest.param([0.5, 0.01], None, id="at the value is not below it"),
        pytest.param([0.5, 0.009], "loss_below", id="below"),
        pytest.param([0.009, 0.5], None, id="an epoch that is past does not count"),
    ],
)
def test_training_ends_once_the_squared_error_is_below_a_hundredth(
    losses: list[float], expected: str | None
) -> None:
    """The rule of the course: until MSE < 0.01; the loss of train, that of val is above."""
    assert stop_reason(rows(losses), toy_params(epochs=100, stop={"loss_below": 0.01})) == expected


@pytest.mark.parametrize(
    ("last_step", "expected"), [(24, None), (25, "steps"), (30, "steps")], ids=["before", "at", "after"]
)
def test_steps_end_training_within_an_epoch(last_step: int, expected: str | None) -> None:
    history = rows([0.5, 0.5, 0.5])
    history[-1]["step"] = last_step
    assert stop_reason(history, toy_params(epochs=100, stop={"steps": 25})) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(89.9, None), (90.0, "minutes"), (1e6, "minutes")])
def test_the_clock_ends_training(seconds: float, expected: str | None) -> None:
    params = toy_params(epochs=100, stop={"minutes": 1.5})
    assert stop_reason(rows([0.5]), params, seconds=seconds) == expected
    assert is_time_over(params, seconds=seconds) == (expected == "minutes")


def test_without_a_limit_the_clock_does_not_matter() -> None:
    assert stop_reason(rows([0.5]), toy_params(), seconds=1e9) is None
    assert not is_time_over(toy_params(stop={"steps": 3}), seconds=1e9)


STALE = {"patience_epochs": 1, "min_delta": 1.0}


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        pytest.param([], "loss_below", id="the aim first"),
        pytest.param(["loss_below"], "steps", id="then steps"),
        pytest.param(["loss_below", "steps"], "minutes", id="then the clock"),
        pytest.param(["loss_below", "steps", "minutes"], "epochs", id="then epochs"),
    ],
)
def test_of_several_rules_the_first_is_told(without: list[str], expected: StopReason) -> None:
    stop = {"loss_below": 0.1, "steps": 20, "minutes": 1.0}
    for rule in without:
        del stop[rule]
    params = toy_params(epochs=2, early_stopping=STALE, stop=stop)
    assert stop_reason(rows([0.5, 0.05]), params, seconds=60.0) == expected


@given(
    losses=st.lists(st.floats(0.0, 1.0), max_size=8),
    epochs=st.integers(2, 8),
    loss_below=st.none() | st.floats(0.01, 1.0),
    steps=st.none() | st.integers(1, 80),
    minutes=st.none() | st.floats(0.1, 3.0),
    seconds=st.floats(0.0, 200.0),
)
def test_training_is_over_exactly_when_some_rule_holds(
    losses: list[float],
    epochs: int,
    loss_below: float | None,
    steps: int | None,
    minutes: float | None,
    seconds: float,
) -> None:
    """A rule more never lets a training go on for longer."""
    history = rows(losses)
    every = {"loss_below": loss_below, "steps": steps, "minutes": minutes}
    alone = [
        stop_reason(history, toy_params(epochs=epochs, stop={rule: value}), seconds=seconds)
        for rule, value in every.items()
    ]
    found = stop_reason(history, toy_params(epochs=epochs, stop=every), seconds=seconds)
    assert found in {*alone, None}
    assert (found is None) == (set(alone) == {None})


@pytest.mark.parametrize(
    ("stop", "expected"),
    [(None, 40), ({"minutes": 1.0}, 40), ({"steps": 25}, 25), ({"steps": 400}, 40)],
    ids=["no further rule", "the clock is not known beforehand", "cut", "more than there are"],
)
def test_the_steps_of_a_whole_training(stop: dict[str, float] | None, expected: int) -> None:
    assert num_steps(toy_params(epochs=4, stop=stop), steps_per_epoch=10) == expected
