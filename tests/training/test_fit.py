"""Fitting: it learns, repeats itself, and goes on after a break as if there had been none."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy_pictures import STEPS_PER_EPOCH, toy_data, toy_epoch, toy_network, toy_params

from cnnpipe.errors import ModelError
from cnnpipe.models.weights import write_weights
from cnnpipe.params.experiment import ClassifyParams
from cnnpipe.training.checkpoints import CHECKPOINT_FILE
from cnnpipe.training.classification import Batch
from cnnpipe.training.devices import Precision, make_accelerator
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit
from cnnpipe.training.records import Epoch

SGD = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.001}


def fit_toy(
    checkpoint_dir: Path,
    params: ClassifyParams | None = None,
    *,
    data: FitData[Batch] | None = None,
    precision: Precision = "float32",
) -> tuple[Fitted, list[tuple[Epoch, float | None]]]:
    """Fit the toy network; return the end and what was told on the way."""
    told: list[tuple[Epoch, float | None]] = []
    chosen = params or toy_params()
    surroundings = Surroundings(
        make_accelerator("cpu"), checkpoint_dir, lambda row, seconds: told.append((row, seconds)), precision
    )
    return fit(toy_network(seed=chosen.seed), data or toy_data(), chosen, surroundings), told


def digests(fitted: Fitted, folder: Path) -> tuple[str, str]:
    return (
        write_weights(folder / "best.safetensors", fitted.best_state),
        write_weights(folder / "last.safetensors", fitted.last_state),
    )


def interrupted(after_batches: int, error: BaseException) -> FitData[Batch]:
    """Return the toy data, which raises `error` after so many batches of train."""
    left = iter(range(after_batches))

    def train(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in toy_epoch(epoch, first):
            if next(left, None) is None:
                raise error
            yield batch

    return replace(toy_data(), train=train)


@pytest.mark.parametrize("optimiser", [None, SGD], ids=["adam", "sgd"])
def test_a_small_network_learns_the_toy_pictures(tmp_path: Path, optimiser: dict[str, object] | None) -> None:
    changes = {"optimiser": optimiser} if optimiser else {}
    fitted, _ = fit_toy(tmp_path, toy_params(epochs=10, **changes))
    assert fitted.history[-1]["train/loss"] < 0.1
    assert fitted.history[-1]["val/accuracy"] == 1.0


def test_history_has_one_row_per_epoch_by_mlflows_names(tmp_path: Path) -> None:
    fitted, told = fit_toy(tmp_path)
    assert [row for row, _ in told] == list(fitted.history)
    assert all(seconds is not None and seconds > 0 for _, seconds in told)
    assert [(row["epoch"], row["step"]) for row in fitted.history] == [(1, 3), (2, 6), (3, 9), (4, 12)]
    names = {"epoch", "step", "train/loss", "val/loss", "val/accuracy", "val/f1_macro", "lr/network"}
    assert all(row.keys() == names for row in fitted.history)
    assert fitted.history[0]["lr/network"] == 0.005  # the warm-up of one epoch ends at the full rate
    assert fitted.stop_reason == "epochs"


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    """A training cut at the best epoch ends with just these weights; the last are others."""
    params = toy_params(epochs=6, schedule={"name": "constant", "warmup_epochs": 0.0})
    fitted, _ = fit_toy(tmp_path / "long", params)
    accuracies = [row["val/accuracy"] for row in fitted.history]
    assert fitted.best_epoch == accuracies.index(max(accuracies)) + 1 < len(accuracies)
    cut = params.model_copy(update={"epochs": fitted.best_epoch})
    assert digests(fitted, tmp_path)[0] == digests(fit_toy(tmp_path / "cut", cut)[0], tmp_path)[1]


def test_early_stopping_ends_training(tmp_path: Path) -> None:
    early_stopping = {"patience_epochs": 1, "min_delta": 1.0}
    fitted, _ = fit_toy(tmp_path, toy_params(early_stopping=early_stopping))
    assert (len(fitted.history), fitted.stop_reason) == (2, "early_stopping")


def test_two_runs_end_in_the_same_weights_and_another_seed_in_others(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = digests(fit_toy(tmp_path / "1")[0], tmp_path)
    torch.manual_seed(2)  # what torch's generator was at before does not matter
    assert digests(fit_toy(tmp_path / "2")[0], tmp_path) == first
    assert digests(fit_toy(tmp_path / "3", toy_params(seed=4))[0], tmp_path) != first


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("optimiser", [None, SGD], ids=["adam", "sgd"])
def test_an_interrupted_training_ends_in_the_same_weights(
    tmp_path: Path, error: BaseException, optimiser: dict[str, object] | None
) -> None:
    params = toy_params(**({"optimiser": optimiser} if optimiser else {}))
    whole, _ = fit_toy(tmp_path / "whole", params)
    within_epoch_3 = 2 * STEPS_PER_EPOCH + 1
    with pytest.raises(type(error)):
        fit_toy(tmp_path / "broken", params, data=interrupted(within_epoch_3, error))
    resumed, told = fit_toy(tmp_path / "broken", params)
    assert digests(resumed, tmp_path) == digests(whole, tmp_path)
    assert resumed.history == whole.history
    assert [row for row, _ in told] == list(whole.history)
    assert [seconds is None for _, seconds in told] == [True, True, False, False]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_learns_and_goes_on_after_a_break(tmp_path: Path, precision: Precision) -> None:
    params = toy_params(epochs=6)
    whole, _ = fit_toy(tmp_path / "whole", params, precision=precision)
    assert whole.history[-1]["val/accuracy"] == 1.0
    assert whole.history != fit_toy(tmp_path / "plain", params)[0].history
    data = interrupted(3 * STEPS_PER_EPOCH, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit_toy(tmp_path / "broken", params, data=data, precision=precision)
    resumed, _ = fit_toy(tmp_path / "broken", params, precision=precision)
    assert digests(resumed, tmp_path) == digests(whole, tmp_path)
    assert resumed.history == whole.history


def test_the_scale_of_gradients_is_in_the_checkpoint(tmp_path: Path) -> None:
    """Fresh, it would be 65,536 again, and the steps it is too high for would be left out once more."""
    fit_toy(tmp_path, precision="float16")
    content = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert content["scaler"]["scale"] <= 65_536.0
    content["scaler"]["scale"] = 4.0
    torch.save(content, tmp_path / CHECKPOINT_FILE)
    fit_toy(tmp_path, toy_params(epochs=5), precision="float16")
    assert torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)["scaler"]["scale"] == 4.0


@pytest.mark.parametrize(("first", "then"), [("float16", "float32"), ("float32", "float16")])
def test_a_checkpoint_of_another_precision_is_gone_on_from(
    tmp_path: Path, first: Precision, then: Precision
) -> None:
    """With precision auto and shared checkpoints, the next machine may have another device."""
    fit_toy(tmp_path, toy_params(epochs=2), precision=first)
    fitted, told = fit_toy(tmp_path, toy_params(epochs=8), precision=then)
    assert [seconds is None for _, seconds in told[:3]] == [True, True, False]
    assert fitted.history[-1]["val/accuracy"] == 1.0


def test_a_training_killed_after_its_last_epoch_takes_no_further_step(tmp_path: Path) -> None:
    whole, _ = fit_toy(tmp_path / "c")
    again, _ = fit_toy(tmp_path / "c", data=interrupted(0, AssertionError("a batch was asked for")))
    assert digests(again, tmp_path) == digests(whole, tmp_path)


def test_a_damaged_checkpoint_says_what_to_delete(tmp_path: Path) -> None:
    fit_toy(tmp_path)
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"checkpoint\.pt: cannot be read") as caught:
        fit_toy(tmp_path)
    assert caught.value.fix == f"delete {tmp_path}; training then starts anew"


def test_a_rate_far_too_high_is_told_and_leaves_no_broken_checkpoint(tmp_path: Path) -> None:
    optimiser = SGD | {"learning_rate": 1e30}
    params = toy_params(optimiser=optimiser, schedule={"name": "constant", "warmup_epochs": 0.0})
    with pytest.raises(ModelError, match=r"the loss is (nan|inf)"):
        fit_toy(tmp_path, params)
    assert not (tmp_path / CHECKPOINT_FILE).exists()
