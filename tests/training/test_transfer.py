"""A backbone from elsewhere: frozen, slower, its batch norm held, and the same after a break."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_pictures import STEPS_PER_EPOCH, toy_data, toy_epoch, toy_params

from cnnpipe.errors import ParamsError
from cnnpipe.models.detectors import DETECTORS
from cnnpipe.models.heads import HEADS, is_of_head
from cnnpipe.models.networks import NETWORKS, build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.experiment import TransferParams
from cnnpipe.training.classification import Batch
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit
from cnnpipe.training.records import Epoch
from cnnpipe.training.transfer import to_training_mode, transfer_of

State = dict[str, Tensor]


def transfer(**changes: Any) -> TransferParams:
    return TransferParams.model_validate(
        {"backbone_rate": 0.1, "frozen_epochs": 0, "batch_norm": "train"} | changes
    )


def network_of(name: str) -> nn.Module:
    shape = NetworkShape(num_classes=3, channels=1, side_px=16, dropout=0.0)
    return build_network(name, shape, weights="none", seed=1)


def copied(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def fit_toy(
    folder: Path,
    name: str,
    params: TransferParams,
    *,
    data: FitData[Batch] | None = None,
) -> tuple[Fitted, list[State]]:
    """Fit a classifier to the toy pictures; return the end and the state after each epoch."""
    network = network_of(name)
    states = [copied(network)]

    def on_epoch(_row: Epoch, _seconds: float | None) -> None:
        states.append(copied(network))

    epochs = max(2, params.frozen_epochs + 1)
    recipe = toy_params(network=name, epochs=epochs, transfer=params.model_dump())
    surroundings = Surroundings(make_accelerator("cpu"), folder, on_epoch)
    return fit(network, data or toy_data(), recipe, surroundings), states


def moved(name: str, before: State, after: State) -> tuple[set[str], set[str]]:
    """Return which tensors of backbone and head are not what they were."""
    names = {each for each in before if not torch.equal(before[each], after[each])}
    head = {each for each in names if is_of_head(name, each)}
    return names - head, head


def interrupted(after_batches: int) -> FitData[Batch]:
    left = iter(range(after_batches))

    def train(epoch: int) -> Iterator[Batch]:
        for batch in toy_epoch(epoch):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield batch

    return replace(toy_data(), train=train)


def test_every_network_has_a_place_in_the_table() -> None:
    assert set(HEADS) == {*NETWORKS, *DETECTORS}


@pytest.mark.parametrize("name", ["lite0", "resnet18"])
def test_the_table_parts_a_network_in_two(name: str) -> None:
    head = [each for each, _ in network_of(name).named_parameters() if is_of_head(name, each)]
    assert [each.rpartition(".")[2] for each in head] == ["weight", "bias"]


def test_lenet_has_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="network 'lenet' has no backbone") as caught:
        fit_toy(tmp_path, "lenet", transfer())
    assert caught.value.fix.startswith("set transfer: null, or choose one of: lite0, resnet18")


@pytest.mark.parametrize("batch_norm", ["train", "frozen"])
@pytest.mark.parametrize("name", ["lite0", "resnet18"])
def test_a_frozen_backbone_does_not_move_until_it_is_thawed(
    tmp_path: Path, name: str, batch_norm: str
) -> None:
    """Not even the statistics of its batch norm."""
    params = transfer(frozen_epochs=1, batch_norm=batch_norm)
    _, (start, frozen, thawed) = fit_toy(tmp_path, name, params)
    backbone, head = moved(name, start, frozen)
    assert backbone == set()
    assert len(head) == 2
    backbone, _ = moved(name, frozen, thawed)
    has_moved_statistics = any(each.endswith("running_mean") for each in backbone)
    assert any(each.endswith("conv1.weight") or "conv_pw.weight" in each for each in backbone)
    assert has_moved_statistics == (batch_norm == "train")


@pytest.mark.parametrize("name", ["lite0", "resnet18"])
def test_frozen_batch_norm_stays_as_it_came_while_filters_learn(tmp_path: Path, name: str) -> None:
    network = network_of(name)
    of_norms = {
        f"{path}.{leaf}"
        for path, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for leaf in module.state_dict()
    }
    _, states = fit_toy(tmp_path, name, transfer(batch_norm="frozen"))
    backbone, _ = moved(name, states[0], states[-1])
    assert backbone == {each for each in states[0] if not is_of_head(name, each)} - of_norms


def test_frozen_batch_norm_is_held_whenever_training_goes_on() -> None:
    network = network_of("lite0")
    treated = transfer_of(network, "lite0", transfer(batch_norm="frozen"), steps_per_epoch=3)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for _ in range(2):
        network.train()
        to_training_mode(network, treated, step=0)
        assert network.training
        assert not any(norm.training for norm in norms)
    assert not any(parameter.requires_grad for norm in norms for parameter in norm.parameters())


def test_history_has_the_rate_of_each_part(tmp_path: Path) -> None:
    fitted, _ = fit_toy(tmp_path, "resnet18", transfer(frozen_epochs=1))
    rates = [(row["lr/head"], row["lr/backbone"]) for row in fitted.history]
    assert rates[0] == (0.005, 0.0)
    assert all(0 < backbone == pytest.approx(0.1 * head) for head, backbone in rates[1:])
    assert all("lr/network" not in row for row in fitted.history)


@pytest.mark.parametrize(
    "after_batches",
    [
        pytest.param(STEPS_PER_EPOCH + 1, id="while frozen"),
        pytest.param(2 * STEPS_PER_EPOCH + 1, id="in the first epoch that is thawed"),
    ],
)
def test_a_break_on_either_side_of_the_thaw_does_not_show(tmp_path: Path, after_batches: int) -> None:
    params = transfer(frozen_epochs=2, batch_norm="train")
    whole, _ = fit_toy(tmp_path / "whole", "lite0", params)
    with pytest.raises(KeyboardInterrupt):
        fit_toy(tmp_path / "broken", "lite0", params, data=interrupted(after_batches))
    resumed, _ = fit_toy(tmp_path / "broken", "lite0", params)
    assert resumed.history == whole.history
    for name, tensor in whole.last_state.items():
        assert torch.equal(tensor, resumed.last_state[name]), name
