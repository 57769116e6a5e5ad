"""A shallow VGG becomes a deeper one: what was learnt is kept, and may rest while the new layers learn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy_pictures import toy_data, toy_params, toy_pictures

from cnnpipe.models.growth import copy_layers
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.experiment import ClassifyParams, ExperimentParams
from cnnpipe.training.classification import Batch
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.fit import FitData, Surroundings
from cnnpipe.training.growing import fit_grown
from cnnpipe.training.records import Epoch

SHAPE = NetworkShape(num_classes=3, channels=1, side_px=32, dropout=0.0)
BATCH = 4
STEPS = 2


def network_of(params: ExperimentParams) -> nn.Module:
    return build_network(params.network, SHAPE, weights="none", seed=5)


def pictures(number: int, seed: int) -> Batch:
    small, targets = toy_pictures(number, seed=seed)
    return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), targets


def data(asked: list[tuple[int, int]]) -> FitData[Batch]:
    def train(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        asked.append((epoch, first))
        yield from [pictures(BATCH, epoch * 10 + step) for step in range(STEPS)][first:]

    return replace(toy_data(), train=train, batch_sizes=[BATCH] * STEPS, val=[pictures(6, 99)])


@pytest.fixture(scope="module")
def params() -> ClassifyParams:
    return toy_params(
        network="vgg13",
        epochs=2,  # of the last network; the test stops after one, in which what was copied rests
        dropout=0.0,
        input={"side_px": 32, "channels": 1, "fit": "stretch", "normalisation": "half"},
        optimiser={
            "name": "sgd",
            "learning_rate": 0.01,
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
        },
        schedule={"name": "constant", "warmup_epochs": 0.0},
        growth=[{"network": "vgg11", "epochs": 2, "then_frozen_epochs": 1}],
    ).model_copy(update={"epochs": 1})


def test_a_grown_network_keeps_what_the_shallow_one_learnt(tmp_path: Path, params: ClassifyParams) -> None:
    told: list[tuple[Epoch, float | None]] = []
    surroundings = Surroundings(
        make_accelerator("cpu"), tmp_path / "t", lambda row, seconds: told.append((row, seconds))
    )
    asked: list[tuple[int, int]] = []
    grown = network_of(params)
    fitted = fit_grown(grown, data(asked), params, surroundings, first_network=network_of)
    rows = [(row["epoch"], row["step"], row["growth"]) for row in fitted.history]
    assert rows == [(1, 2, 1), (2, 4, 1), (3, 6, 2)]
    assert [row for row, _ in told] == list(fitted.history)
    assert (fitted.best_epoch, fitted.stop_reason) == (3, "epochs")
    assert fitted.history[2]["lr/copied"] == 0.0
    assert fitted.history[2]["lr/network"] == 0.01

    # in the only epoch of vgg13 what came from vgg11 rested, and the rest did not
    (kept,) = tmp_path.glob("t/vgg11-*/checkpoint.pt")
    shallow = network_of(params.model_copy(update={"network": "vgg11"}))
    shallow.load_state_dict(torch.load(kept, weights_only=True)["network"])
    fresh = network_of(params)
    copied = copy_layers(shallow, fresh)
    start, end = fresh.state_dict(), fitted.last_state
    assert all(torch.equal(end[name], start[name]) for name in copied)
    weights = [name for name in start if name not in copied and name.endswith("weight")]
    assert weights
    assert not any(torch.equal(end[name], start[name]) for name in weights)

    # what has ended is not trained again
    told.clear()
    asked.clear()
    again = fit_grown(network_of(params), data(asked), params, surroundings, first_network=network_of)
    assert asked == []
    assert again.history == fitted.history
    assert [seconds for _, seconds in told] == [None] * 3
    assert all(torch.equal(again.best_state[name], tensor) for name, tensor in fitted.best_state.items())
