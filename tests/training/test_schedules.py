"""The learning rate at chosen steps, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.params.optimisers import CosineParams
from cnnpipe.training.schedules import Course, rate_factor


def course(name: str, *, warmup_steps: int, num_steps: int = 12) -> Course:
    return Course(name=name, warmup_steps=warmup_steps, num_steps=num_steps)


@pytest.mark.parametrize(
    ("name", "warmup_steps", "step", "expected"),
    [
        pytest.param("cosine", 4, 0, 0.25, id="first of four steps of warm-up"),
        pytest.param("cosine", 4, 3, 1.0, id="warm-up ends at the full rate"),
        pytest.param("cosine", 4, 4, 1.0, id="cosine starts at the full rate"),
        pytest.param("cosine", 4, 6, 0.8535534, id="a quarter: (1 + cos 45°) / 2"),
        pytest.param("cosine", 4, 8, 0.5, id="half way"),
        pytest.param("cosine", 4, 11, 0.0380602, id="the last step still learns: (1 + cos 157.5°) / 2"),
        pytest.param("cosine", 0, 0, 1.0, id="no warm-up"),
        pytest.param("constant", 2, 0, 0.5, id="constant warms up too"),
        pytest.param("constant", 2, 11, 1.0, id="constant stays"),
    ],
)
def test_the_rate_at_a_step(name: str, warmup_steps: int, step: int, expected: float) -> None:
    assert rate_factor(step, course(name, warmup_steps=warmup_steps)) == pytest.approx(expected)


@given(st.integers(0, 20), st.integers(1, 50))
def test_the_rate_rises_then_falls_and_is_never_zero(warmup_steps: int, others: int) -> None:
    chosen = course("cosine", warmup_steps=warmup_steps, num_steps=warmup_steps + others)
    factors = [rate_factor(step, chosen) for step in range(chosen.num_steps)]
    assert factors[:warmup_steps] == sorted(factors[:warmup_steps])
    assert factors[warmup_steps:] == sorted(factors[warmup_steps:], reverse=True)
    assert all(0 < factor <= 1 for factor in factors)


def test_epochs_become_steps() -> None:
    params = CosineParams(name="cosine", warmup_epochs=0.5)
    found = Course.of(params, epochs=6, steps_per_epoch=19)
    assert found == Course(name="cosine", warmup_steps=10, num_steps=114)
