"""What bends a training: batches in pieces, clipping, penalties, averages, divergence, stop rules."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_pictures import BATCH_SIZE, CROSS_ENTROPY, half, toy_data, toy_network, toy_params, toy_pictures

from cnnpipe.errors import ModelError
from cnnpipe.params.experiment import ClassifyParams, EmaParams
from cnnpipe.params.losses import PenaltyParams
from cnnpipe.params.optimisers import SgdParams
from cnnpipe.training.averaging import make_average
from cnnpipe.training.classification import Batch, classification_objective
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.epoch import DivergedError
from cnnpipe.training.fit import FitData, Fitted, Pace, Surroundings, fit
from cnnpipe.training.objective import Objective
from cnnpipe.training.optimisers import make_optimiser
from cnnpipe.training.step import Learner, take_step

PLAIN = classification_objective(half, CROSS_ENTROPY)
SGD = SgdParams(name="sgd", learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)


def learner(network: nn.Module, objective: Objective[Batch] = PLAIN, **more: Any) -> Learner[Batch]:
    return Learner(
        accelerator=make_accelerator("cpu"),
        network=network,
        optimiser=make_optimiser(network, SGD),
        objective=objective,
        seed=3,
        **more,
    )


def fit_toy(folder: Path, params: ClassifyParams, data: FitData[Batch] | None = None) -> Fitted:
    surroundings = Surroundings(
        make_accelerator("cpu"), folder, lambda _row, _seconds: None, pace=Pace(steps=1)
    )
    return fit(toy_network(dropout=0.0), data or toy_data(), params, surroundings)


def state_after_a_step(num_pieces: int, pictures: int = BATCH_SIZE, **more: Any) -> dict[str, Tensor]:
    network = toy_network(dropout=0.0)
    taken = take_step(
        learner(network, **more), toy_pictures(pictures, seed=1), step=0, rate=0.1, num_pieces=num_pieces
    )
    assert taken.num_pieces == num_pieces
    return network.state_dict()


@pytest.mark.parametrize("num_pieces", [2, 3, 5, 64])
def test_a_batch_in_pieces_takes_the_step_of_the_whole(num_pieces: int) -> None:
    whole, pieces = state_after_a_step(1, pictures=13), state_after_a_step(num_pieces, pictures=13)
    assert all(torch.allclose(whole[name], pieces[name], atol=1e-7) for name in whole)


def test_the_loss_that_is_told_is_that_of_the_whole_batch() -> None:
    batch = toy_pictures(13, seed=1)
    parts = [
        take_step(learner(toy_network(dropout=0.0)), batch, step=0, rate=0.0, num_pieces=number).parts
        for number in (1, 4)
    ]
    assert float(parts[0]["cross_entropy"]) == pytest.approx(float(parts[1]["cross_entropy"]), rel=1e-6)


def test_a_clipped_gradient_has_its_length_and_its_direction() -> None:
    start, far, near = (
        toy_network(dropout=0.0).state_dict(),
        state_after_a_step(1),
        state_after_a_step(1, clip_norm=0.01),
    )
    moved = {name: far[name] - start[name] for name in start}
    clipped = {name: near[name] - start[name] for name in start}
    length = torch.sqrt(sum((each**2).sum() for each in clipped.values()))
    assert float(length) == pytest.approx(0.1 * 0.01, rel=1e-3)
    share = float(length / torch.sqrt(sum((each**2).sum() for each in moved.values())))
    assert all(torch.allclose(clipped[name], share * moved[name], atol=1e-7) for name in start)


def test_a_penalty_is_a_part_of_the_loss_and_moves_weights_by_its_gradient() -> None:
    """l2·Σw² adds 2·l2·w to the gradient of a weight, and nothing to that of a bias; once, in pieces too."""
    start = toy_network(dropout=0.0).state_dict()
    plain = state_after_a_step(1)
    for num_pieces in (1, 4):
        pulled = state_after_a_step(num_pieces, penalties=PenaltyParams(l1=0.0, l2=0.5))
        assert torch.allclose(pulled["c1.weight"], plain["c1.weight"] - 0.1 * start["c1.weight"], atol=1e-6)
        assert torch.allclose(pulled["c1.bias"], plain["c1.bias"], atol=1e-7)


def test_the_average_follows_by_its_decay() -> None:
    """D = min(decay, (1 + t) / (10 + t)): the first step copies, the second has 2/11, the third 3/12."""
    layer = nn.Linear(1, 1, bias=False)
    average = make_average(layer, EmaParams(decay=0.2))
    assert average is not None
    expected = None
    for step, value in enumerate((1.0, 2.0, 4.0)):
        nn.init.constant_(layer.weight, value)
        average.update_parameters(layer)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert average.module.state_dict()["weight"].item() == pytest.approx(expected)


def test_val_judges_the_average_and_the_bundle_holds_it(tmp_path: Path) -> None:
    plain = fit_toy(tmp_path / "plain", toy_params())
    averaged = fit_toy(tmp_path / "averaged", toy_params(ema={"decay": 0.99}))
    # the training is the same, what is judged is not
    assert [row["train/loss"] for row in averaged.history] == [row["train/loss"] for row in plain.history]
    assert averaged.history[-1]["val/loss"] != plain.history[-1]["val/loss"]
    network = toy_network(dropout=0.0)
    network.load_state_dict(averaged.last_state)
    judged = PLAIN.judge(network, toy_data().val, torch.device("cpu"))
    assert judged["loss"] == pytest.approx(averaged.history[-1]["val/loss"], rel=1e-5)


def breaking(times: int) -> FitData[Batch]:
    """Return the toy data with a loss that is NaN in the fifth step, so many times."""
    left, calls = iter(range(times)), iter(range(1_000))

    def losses(network: nn.Module, batch: Batch, device: torch.device) -> Mapping[str, Tensor]:
        parts = PLAIN.losses(network, batch, device)
        number = next(calls)
        if number >= 4 and next(left, None) is not None:
            return {name: part * float("nan") for name, part in parts.items()}
        return parts

    return replace(toy_data(), objective=replace(PLAIN, losses=losses))


def test_a_training_that_diverges_goes_back_with_a_smaller_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="cnnpipe")
    params = toy_params(
        on_divergence={"rate_factor": 0.5, "times": 2}, schedule={"name": "constant", "warmup_epochs": 0.0}
    )
    fitted = fit_toy(tmp_path, params, breaking(2))
    assert fitted.stop_reason == "epochs"
    assert fitted.incidents == (
        "diverged (training, step 5: the loss is nan): back to step 4, rate x 0.5",
        "diverged (training, step 5: the loss is nan): back to step 4, rate x 0.25",
    )
    assert all(incident in caplog.text for incident in fitted.incidents)
    rates = [row["lr/network"] for row in fitted.history]
    assert rates == pytest.approx([0.005, 0.00125, 0.00125, 0.00125])


@pytest.mark.parametrize("wanted", [None, {"rate_factor": 0.5, "times": 1}], ids=["stop", "once"])
def test_a_training_that_diverges_too_often_ends(tmp_path: Path, wanted: dict[str, float] | None) -> None:
    with pytest.raises(DivergedError, match="training, step 5: the loss is nan"):
        fit_toy(tmp_path, toy_params(on_divergence=wanted), breaking(2))


def test_going_back_before_the_first_checkpoint_is_to_the_first_weights(tmp_path: Path) -> None:
    def losses(network: nn.Module, batch: Batch, device: torch.device) -> Mapping[str, Tensor]:
        parts = PLAIN.losses(network, batch, device)
        return {name: part * next(factors, 1.0) for name, part in parts.items()}

    factors = iter([float("inf")])
    data = replace(toy_data(), objective=replace(PLAIN, losses=losses))
    fitted = fit_toy(tmp_path, toy_params(on_divergence={"rate_factor": 0.1, "times": 1}), data)
    assert fitted.incidents == ("diverged (training, step 1: the loss is inf): back to step 0, rate x 0.1",)


@pytest.mark.parametrize(
    ("stop", "reason", "steps"),
    [
        ({"steps": 5}, "steps", [3, 5]),
        ({"loss_below": 10.0}, "loss_below", [3]),
        ({"minutes": 1e-9}, "minutes", [1]),
    ],
)
def test_further_ends(tmp_path: Path, stop: dict[str, float], reason: str, steps: list[int]) -> None:
    fitted = fit_toy(tmp_path, toy_params(stop=stop))
    assert fitted.stop_reason == reason
    assert [row["step"] for row in fitted.history] == steps


def test_a_training_by_accumulation_ends_where_whole_batches_end(tmp_path: Path) -> None:
    whole = fit_toy(tmp_path / "whole", toy_params())
    parts = fit_toy(tmp_path / "parts", toy_params(accumulation=4))
    assert parts.history[-1]["val/loss"] == pytest.approx(whole.history[-1]["val/loss"], abs=1e-4)


_LITTLE_MEMORY = """
import resource, sys
import torch
torch.set_num_threads(1)
from torch import nn
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.objective import Objective
from cnnpipe.training.optimisers import make_optimiser
from cnnpipe.training.step import Learner, take_step
from cnnpipe.params.optimisers import SgdParams

network = nn.Sequential(nn.Conv2d(1, 64, 1), nn.Tanh(), nn.Conv2d(64, 1, 1))
objective = Objective(
    losses=lambda network, batch, device: {"mse": network(batch[0]).square().mean(dim=(1, 2, 3)).mean()},
    judge=lambda *_: {},
)
sgd = SgdParams(name="sgd", learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
learner = Learner(
    accelerator=make_accelerator("cpu"), network=network, optimiser=make_optimiser(network, sgd),
    objective=objective, seed=1,
)
batch = (torch.rand(int(sys.argv[1]), 1, 128, 128), torch.zeros(int(sys.argv[1])))
take_step(learner, tuple(each[:2] for each in batch), step=0, rate=0.0)  # threads and code come first
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20, used + 100 * 2**20))
taken = take_step(learner, batch, step=1, rate=0.1)
print(taken.num_pieces, float(taken.parts["mse"]))
"""


def test_a_batch_that_memory_does_not_hold_is_computed_in_pieces() -> None:
    """16 pictures of 128 px in 64 channels are 67 MB a layer; 100 MB are there."""
    done = subprocess.run(
        [sys.executable, "-c", _LITTLE_MEMORY, "16"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    num_pieces, loss = done.stdout.split()
    assert int(num_pieces) in (2, 4, 8)
    assert 0.0 < float(loss) < 10.0


def test_memory_that_holds_no_two_pictures_is_told() -> None:
    def losses(*_: object) -> Mapping[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    objective: Objective[Batch] = Objective(losses=losses, judge=PLAIN.judge)
    with pytest.raises(ModelError, match="out of memory") as caught:
        take_step(learner(toy_network(), objective), toy_pictures(8, seed=0), step=6, rate=0.1)
    assert caught.value.where == "training, step 7"
    assert "input.side_px" in caught.value.fix


def test_batch_norm_that_sees_one_value_is_told() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(1), nn.Linear(1, 3))
    with pytest.raises(ModelError, match="1 picture, and maps of one pixel") as caught:
        take_step(learner(network), toy_pictures(1, seed=0), step=2, rate=0.1)
    assert caught.value.where == "training, step 3"
    assert caught.value.fix.startswith("raise batch_size to 2 or more")


def test_other_errors_of_torch_pass() -> None:
    def losses(*_: object) -> Mapping[str, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    objective: Objective[Batch] = Objective(losses=losses, judge=PLAIN.judge)
    with pytest.raises(RuntimeError, match="mat1"):
        take_step(learner(toy_network(), objective), toy_pictures(8, seed=0), step=0, rate=0.1)
