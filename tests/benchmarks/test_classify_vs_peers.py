"""The arithmetic of the comparison: what is paired, what is over what, and what counts as held."""

import pytest
from scipy import stats  # type: ignore[import-untyped]  # no stubs

from benchmarks.classify_vs_peers import (
    OURS,
    PEERS,
    Comparison,
    SeedResult,
    Trained,
    comparison,
    paired_interval,
    table_of,
)
from benchmarks.meters import Seconds


def trained(test_accuracy: float, *seconds: Seconds) -> Trained:
    return Trained(test_accuracy=test_accuracy, val_accuracy=0.5, best_epoch=1, seconds=seconds)


def seed_result(seed: int, ours: Trained, theirs: Trained) -> SeedResult:
    sides = {OURS: ours} | dict.fromkeys(PEERS, theirs)
    return SeedResult(seed=seed, sides=sides, checkpoints=(Seconds(0.3, 0.2),))


SEEDS = (
    seed_result(1, trained(0.8, Seconds(9.0, 9.0), Seconds(2.0, 3.0)), trained(0.7, Seconds(4.0, 3.0))),
    seed_result(2, trained(0.6, Seconds(1.0, 1.0)), trained(0.7, Seconds(2.0, 1.0), Seconds(9.0, 9.0))),
)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_that_of_the_t_test(confidence: float) -> None:
    ours, theirs = [0.81, 0.79, 0.84, 0.80, 0.77], [0.78, 0.80, 0.79, 0.78, 0.71]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    expected = stats.ttest_rel(ours, theirs).confidence_interval(confidence)
    assert paired_interval(differences, confidence=confidence) == pytest.approx(tuple(expected))


def test_times_are_medians_over_epochs_and_seeds_and_accuracies_are_paired_by_seed() -> None:
    found = comparison("timm", SEEDS)
    assert (found.wall_ratio, found.cpu_ratio) == (2.0 / 4.0, 3.0 / 3.0)
    assert found.differences == pytest.approx((0.1, -0.1))
    assert (found.low, found.high) == pytest.approx((-12.7062 * 0.1, 12.7062 * 0.1))  # t of a table


@pytest.mark.parametrize(
    ("wall", "cpu", "high", "is_held"),
    [
        pytest.param(1.05, 1.05, 0.0, True, id="at the bounds"),
        pytest.param(1.06, 1.0, 0.1, False, id="slower by the wall clock"),
        pytest.param(1.0, 1.06, 0.1, False, id="more of the CPU"),
        pytest.param(0.9, 0.9, -0.001, False, id="wholly below zero"),
    ],
)
def test_each_bound_counts(wall: float, cpu: float, high: float, *, is_held: bool) -> None:
    found = Comparison("timm", wall, cpu, (-0.1, 0.0), -0.05, -0.2, high)
    assert found.is_held is is_held


def test_the_table_has_every_side_and_every_verdict() -> None:
    missed = Comparison("timm", 1.2, 1.0, (0.0, 0.0), 0.0, 0.0, 0.0)
    lines = table_of(SEEDS, [comparison("torchvision", SEEDS), missed]).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == [OURS, *PEERS]
    assert lines[1].split()[1:] == ["0.700", "0.500", "2.00", "3.00"]
    assert [line.rpartition(" ")[2] for line in lines[-2:]] == ["held", "MISSED"]
