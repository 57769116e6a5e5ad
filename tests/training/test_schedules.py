"""The learning rate at chosen steps, by hand and beside torch's own schedules."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_pictures import toy_params

from cnnpipe.params.optimisers import (
    ConstantParams,
    CosineParams,
    OneCycleParams,
    PlateauParams,
    ScheduleParams,
    StepParams,
)
from cnnpipe.training.records import Epoch
from cnnpipe.training.schedules import Course, num_drops, rate_factor

COSINE = CosineParams(name="cosine", warmup_epochs=1.0)
CONSTANT = ConstantParams(name="constant", warmup_epochs=0.5)
STEP = StepParams(name="step", warmup_epochs=1.0, every_epochs=1, factor=0.1)
ONE_CYCLE = OneCycleParams(name="one_cycle", rise_fraction=0.25, start_factor=0.04, end_factor=0.01)
PLATEAU = PlateauParams(name="plateau", warmup_epochs=0.5, factor=0.5, patience_epochs=2, min_delta=0.0)


def course(params: ScheduleParams, *, num_steps: int = 12) -> Course:
    """Return a course of 4 steps per epoch."""
    return Course.of(params, num_steps=num_steps, steps_per_epoch=4)


def rates(params: ScheduleParams, *, num_steps: int, steps_per_epoch: int = 4) -> list[float]:
    chosen = Course.of(params, num_steps=num_steps, steps_per_epoch=steps_per_epoch)
    return [rate_factor(step, chosen) for step in range(num_steps)]


def rows(values: Sequence[float], watch: str = "accuracy") -> list[Epoch]:
    return [{f"val/{watch}": value} for value in values]


@pytest.mark.parametrize(
    ("params", "step", "expected"),
    [
        pytest.param(COSINE, 0, 0.25, id="first of four steps of warm-up"),
        pytest.param(COSINE, 3, 1.0, id="warm-up ends at the full rate"),
        pytest.param(COSINE, 4, 1.0, id="cosine starts at the full rate"),
        pytest.param(COSINE, 6, 0.8535534, id="a quarter: (1 + cos 45°) / 2"),
        pytest.param(COSINE, 8, 0.5, id="half way"),
        pytest.param(COSINE, 11, 0.0380602, id="the last step still learns: (1 + cos 157.5°) / 2"),
        pytest.param(CosineParams(name="cosine", warmup_epochs=0.0), 0, 1.0, id="no warm-up"),
        pytest.param(CONSTANT, 0, 0.5, id="constant warms up too"),
        pytest.param(CONSTANT, 11, 1.0, id="constant stays"),
        pytest.param(STEP, 3, 1.0, id="step: warm-up"),
        pytest.param(STEP, 7, 1.0, id="step: the last of the first epoch since"),
        pytest.param(STEP, 8, 0.1, id="step: down after it"),
        pytest.param(STEP, 12, 0.01, id="step: and down again"),
        pytest.param(ONE_CYCLE, 0, 0.04, id="one cycle: starts low"),
        pytest.param(ONE_CYCLE, 1, 0.52, id="one cycle: half way up"),
        pytest.param(ONE_CYCLE, 2, 1.0, id="one cycle: the top after a quarter of 12 steps"),
        pytest.param(ONE_CYCLE, 11, 0.01, id="one cycle: ends lower"),
    ],
)
def test_the_rate_at_a_step(params: ScheduleParams, step: int, expected: float) -> None:
    assert rate_factor(step, course(params)) == pytest.approx(expected)


def test_a_plateau_lowers_the_rate_once_it_is_warm() -> None:
    chosen = course(PLATEAU)
    assert [rate_factor(step, chosen, num_drops=2) for step in (0, 1, 2, 11)] == [0.5, 1.0, 0.25, 0.25]
    assert rate_factor(11, chosen) == 1.0


@pytest.mark.parametrize("params", [COSINE, CONSTANT, STEP, ONE_CYCLE])
def test_other_schedules_do_not_look_at_plateaus(params: ScheduleParams) -> None:
    chosen = course(params)
    assert [rate_factor(step, chosen, num_drops=3) for step in range(12)] == rates(params, num_steps=12)


@given(st.integers(0, 20), st.integers(1, 50))
def test_a_cosine_rises_then_falls_and_is_never_zero(warmup_steps: int, others: int) -> None:
    params = CosineParams(name="cosine", warmup_epochs=float(warmup_steps))
    factors = rates(params, num_steps=warmup_steps + others, steps_per_epoch=1)
    assert factors[:warmup_steps] == sorted(factors[:warmup_steps])
    assert factors[warmup_steps:] == sorted(factors[warmup_steps:], reverse=True)
    assert all(0 < factor <= 1 for factor in factors)


@settings(deadline=None)
@given(
    num_steps=st.integers(2, 40),
    rise=st.floats(0.1, 0.9),
    start=st.floats(0.01, 0.9),
    end=st.floats(0.001, 0.9),
)
def test_one_cycle_is_that_of_torch(num_steps: int, rise: float, start: float, end: float) -> None:
    params = OneCycleParams(name="one_cycle", rise_fraction=rise, start_factor=start, end_factor=end)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=1.0,
        total_steps=num_steps,
        pct_start=rise,
        div_factor=1.0 / start,
        final_div_factor=start / end,
        cycle_momentum=False,
    )
    expected = []
    for _ in range(num_steps):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(expected) < num_steps:
            scheduler.step()
    assert rates(params, num_steps=num_steps) == pytest.approx(expected, abs=1e-9)


def test_one_cycle_that_is_too_short_to_rise_starts_at_the_top() -> None:
    params = OneCycleParams(name="one_cycle", rise_fraction=0.25, start_factor=0.04, end_factor=0.5)
    assert rates(params, num_steps=4) == pytest.approx([1.0, 0.875, 0.625, 0.5])


def test_steps_go_down_as_those_of_torch() -> None:
    params = StepParams(name="step", warmup_epochs=0.0, every_epochs=3, factor=0.3)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, step_size=3, gamma=0.3)
    expected = []
    for _ in range(10):
        expected += 2 * [optimiser.param_groups[0]["lr"]]
        optimiser.step()
        scheduler.step()
    assert rates(params, num_steps=20, steps_per_epoch=2) == pytest.approx(expected)


@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.75]), max_size=30),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.0625, 0.25]),
    watch=st.sampled_from(["accuracy", "loss"]),
)
def test_drops_are_those_of_torchs_plateau(
    values: list[float], patience: int, min_delta: float, watch: str
) -> None:
    schedule = {"name": "plateau", "warmup_epochs": 0.0, "factor": 0.5, "patience_epochs": patience}
    params = toy_params(schedule={**schedule, "min_delta": min_delta}, watch=watch)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        mode="min" if watch == "loss" else "max",
        factor=0.5,
        patience=patience - 1,
        threshold=min_delta,
        threshold_mode="abs",
        eps=0.0,
    )
    for value in values:
        oracle.step(value)
    assert 0.5 ** num_drops(rows(values, watch), params) == optimiser.param_groups[0]["lr"]


def test_epochs_of_the_warm_up_are_no_plateau() -> None:
    schedule = {"name": "plateau", "warmup_epochs": 2.5, "factor": 0.5, "patience_epochs": 1}
    params = toy_params(schedule={**schedule, "min_delta": 0.0}, epochs=9)
    assert num_drops(rows([0.5, 0.4, 0.3]), params) == 0
    assert num_drops(rows([0.5, 0.4, 0.3, 0.2]), params) == 0, "the first that counts is the best so far"
    assert num_drops(rows([0.5, 0.4, 0.3, 0.2, 0.2]), params) == 1


def test_only_a_plateau_drops() -> None:
    assert num_drops(rows([0.5] * 9), toy_params(schedule=COSINE.model_dump())) == 0


def test_epochs_become_steps() -> None:
    params = CosineParams(name="cosine", warmup_epochs=0.5)
    found = Course.of(params, num_steps=114, steps_per_epoch=19)
    assert (found.warmup_steps, found.num_steps) == (10, 114)


def test_a_cosine_ends_where_the_training_ends() -> None:
    assert rates(COSINE, num_steps=8)[4:] == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466])
