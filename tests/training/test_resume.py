"""A training that was broken off anywhere ends in the very weights of one that was not."""

import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_pictures import STEPS_PER_EPOCH, toy_data, toy_epoch, toy_network, toy_params

from cnnpipe.errors import ModelError
from cnnpipe.params.experiment import ClassifyParams
from cnnpipe.training.checkpoints import CHECKPOINT_FILE
from cnnpipe.training.classification import Batch
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.fit import FitData, Fitted, Pace, Surroundings, fit

EPOCHS = 3
NUM_STEPS = EPOCHS * STEPS_PER_EPOCH
RECIPE: dict[str, Any] = {
    "epochs": EPOCHS,
    "dropout": 0.3,
    "ema": {"decay": 0.9},
    "clip_norm": 0.5,
    "penalties": {"l1": 1e-5, "l2": 1e-4},
}


def fit_toy(
    folder: Path,
    params: ClassifyParams,
    *,
    data: FitData[Batch] | None = None,
    pace: Pace = Pace(steps=1),  # noqa: B008 (it is frozen)
) -> Fitted:
    surroundings = Surroundings(make_accelerator("cpu"), folder, lambda _row, _seconds: None, pace=pace)
    return fit(
        toy_network(seed=params.seed, dropout=params.dropout), data or toy_data(), params, surroundings
    )


def before_batch(number: int, do: Callable[[], object]) -> FitData[Batch]:
    """Return the toy data, which does something before batch `number` of all that are read, from 0."""
    left = iter(range(number))

    def train(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in toy_epoch(epoch, first):
            if next(left, None) is None:
                do()
            yield batch

    return replace(toy_data(), train=train)


def raise_(error: BaseException) -> None:
    raise error


def assert_same(one: Fitted, other: Fitted) -> None:
    assert one.history == other.history
    assert (one.best_epoch, one.stop_reason) == (other.best_epoch, other.stop_reason)
    for states in ((one.best_state, other.best_state), (one.last_state, other.last_state)):
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return fit_toy(tmp_path_factory.mktemp("whole") / "t", toy_params(**RECIPE))


@settings(max_examples=12, deadline=None)
@given(breaks=st.lists(st.integers(1, NUM_STEPS - 1), max_size=3), steps=st.integers(1, 4))
def test_wherever_it_is_killed_it_ends_in_the_same_weights(
    whole: Fitted, tmp_path_factory: pytest.TempPathFactory, breaks: list[int], steps: int
) -> None:
    """As by kill -9: nothing is kept but the last checkpoint, of every so many steps."""
    folder = tmp_path_factory.mktemp("broken") / "t"
    params, pace = toy_params(**RECIPE), Pace(steps=steps)
    for number in breaks:
        # an error of the program keeps no checkpoint; where less than that is left, it ends
        with suppress(EOFError):
            fit_toy(folder, params, data=before_batch(number, lambda: raise_(EOFError())), pace=pace)
    assert_same(fit_toy(folder, params, pace=pace), whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [1, STEPS_PER_EPOCH, NUM_STEPS - 1])
def test_a_signal_between_steps_keeps_every_step_before_it(
    whole: Fitted, tmp_path: Path, number: signal.Signals, at: int
) -> None:
    params, data = toy_params(**RECIPE), before_batch(at, lambda: os.kill(os.getpid(), number))
    expected = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    handler = signal.getsignal(number)
    with pytest.raises(expected) as caught:
        fit_toy(tmp_path / "t", params, data=data, pace=Pace())
    assert getattr(caught.value, "code", 143) == 143
    assert signal.getsignal(number) is handler
    assert torch.load(tmp_path / "t" / CHECKPOINT_FILE, weights_only=True)["steps"] == at
    assert_same(fit_toy(tmp_path / "t", params), whole)


def test_a_signal_within_a_step_lets_it_end(whole: Fitted, tmp_path: Path) -> None:
    calls = iter(range(NUM_STEPS))
    plain = toy_data().objective

    def losses(network: Any, batch: Batch, device: torch.device) -> Any:
        if next(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain.losses(network, batch, device)

    data = replace(toy_data(), objective=replace(plain, losses=losses))
    with pytest.raises(SystemExit):
        fit_toy(tmp_path / "t", toy_params(**RECIPE), data=data, pace=Pace())
    assert torch.load(tmp_path / "t" / CHECKPOINT_FILE, weights_only=True)["steps"] == 5
    assert_same(fit_toy(tmp_path / "t", toy_params(**RECIPE)), whole)


def test_a_signal_while_val_is_judged_costs_no_step(whole: Fitted, tmp_path: Path) -> None:
    val = list(toy_data().val)

    class Val:
        def __iter__(self) -> Iterator[Batch]:
            os.kill(os.getpid(), signal.SIGTERM)
            return iter(val)

    data: FitData[Batch] = replace(toy_data(), val=Val())
    with pytest.raises(SystemExit):
        fit_toy(tmp_path / "t", toy_params(**RECIPE), data=data, pace=Pace())
    content = torch.load(tmp_path / "t" / CHECKPOINT_FILE, weights_only=True)
    assert (content["steps"], len(content["history"])) == (STEPS_PER_EPOCH, 0)
    assert_same(fit_toy(tmp_path / "t", toy_params(**RECIPE)), whole)


def test_batches_before_the_checkpoint_are_not_read_again(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def train(epoch: int, first: int) -> Iterable[Batch]:
        asked.append((epoch, first))
        return toy_epoch(epoch, first)

    data = before_batch(STEPS_PER_EPOCH + 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        fit_toy(tmp_path / "t", toy_params(**RECIPE), data=data, pace=Pace())
    fit_toy(tmp_path / "t", toy_params(**RECIPE), data=replace(toy_data(), train=train))
    assert asked == [(2, 2), (3, 0)]


def test_a_disk_that_fills_midway_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    data = before_batch(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        fit_toy(tmp_path / "t", toy_params(**RECIPE), data=data)
    path = tmp_path / "t" / CHECKPOINT_FILE
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))  # of one file
    try:
        with pytest.raises(OSError, match="File too large"):
            fit_toy(tmp_path / "t", toy_params(**RECIPE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    fit_toy(tmp_path / "one", toy_params(**RECIPE))
    (tmp_path / "one").rename(tmp_path / "other")
    with pytest.raises(ModelError, match="is of another training: one") as caught:
        fit_toy(tmp_path / "other", toy_params(**RECIPE))
    assert caught.value.fix.startswith("delete ")
