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
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.optimisers import SgdParams
from cnnpipe.training.classification import Batch
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.fit import FitData, Fitted, Surroundings, fit
from cnnpipe.training.optimisers import make_optimiser, set_learning_rate
from cnnpipe.training.records import Epoch
from cnnpipe.training.transfer import Transfer, learning_rates, to_training_mode, transfer_of

State = dict[str, Tensor]


def transfer(**changes: Any) -> TransferParams:
    return TransferParams.model_validate(
        {"backbone_rate": 0.1, "frozen_epochs": 0, "batch_norm": "train"} | changes
    )


def options_of(name: str) -> dict[str, Any] | None:
    """Return the options of a network; of one with a small backbone its layers."""
    pooled: list[Any] = [{"pool": {"kind": "global_avg"}}, "flatten"]
    convolved = [{"conv": {"out": 8, "kernel": 3}}, "batch_norm", {"activation": "relu"}]
    return {"layers": [*convolved, *pooled]} if name == "cnn" else None


def network_of(name: str) -> nn.Module:
    options = NetworkOptions.model_validate(options_of(name) or {})
    shape = NetworkShape(num_classes=3, channels=1, side_px=16, dropout=0.0, options=options)
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
    recipe = toy_params(network=name, options=options_of(name), epochs=epochs, transfer=params.model_dump())
    surroundings = Surroundings(make_accelerator("cpu"), folder, on_epoch)
    return fit(network, data or toy_data(), recipe, surroundings), states


def moved(name: str, before: State, after: State) -> tuple[set[str], set[str]]:
    """Return which tensors of backbone and head are not what they were."""
    names = {each for each in before if not torch.equal(before[each], after[each])}
    head = {each for each in names if is_of_head(name, each)}
    return names - head, head


def interrupted(after_batches: int) -> FitData[Batch]:
    left = iter(range(after_batches))

    def train(epoch: int, first: int) -> Iterator[Batch]:
        for batch in toy_epoch(epoch, first):
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
    assert caught.value.fix.startswith("set transfer: null, or choose one of: ")
    assert "resnet18" in caught.value.fix


@pytest.mark.parametrize("batch_norm", ["train", "frozen"])
@pytest.mark.parametrize("name", ["lite0", "cnn"])
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
    assert any(each == "layers.1.weight" or "conv_pw.weight" in each for each in backbone)
    assert has_moved_statistics == (batch_norm == "train")


@pytest.mark.parametrize("name", ["lite0", "cnn"])
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
    fitted, _ = fit_toy(tmp_path, "cnn", transfer(frozen_epochs=1))
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
    whole, _ = fit_toy(tmp_path / "whole", "cnn", params)
    with pytest.raises(KeyboardInterrupt):
        fit_toy(tmp_path / "broken", "cnn", params, data=interrupted(after_batches))
    resumed, _ = fit_toy(tmp_path / "broken", "cnn", params)
    assert resumed.history == whole.history
    for name, tensor in whole.last_state.items():
        assert torch.equal(tensor, resumed.last_state[name]), name


# ---- parts of a backbone --------------------------------------------------------------------------------

SGD = SgdParams(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.01)
STEPS = 2  # per epoch, of the trainings below
IN_PARTS = transfer(
    frozen_epochs=2,
    parts=[
        {"tensors": ["layer1.", "layer2.0."], "rate": 0.0, "frozen_epochs": 0},
        {"tensors": ["layer2.", "layer4"], "rate": 0.5, "frozen_epochs": 1},
    ],
)


@pytest.fixture(scope="module")
def initial() -> State:
    return copied(network_of("resnet18"))


def resnet18(initial: State) -> nn.Module:
    network = network_of("resnet18")
    network.load_state_dict(initial)
    return network


def in_parts(network: nn.Module, params: TransferParams) -> Transfer:
    treated = transfer_of(network, "resnet18", params, steps_per_epoch=STEPS)
    assert treated is not None
    return treated


def changes_by_epoch(network: nn.Module, treated: Transfer, *, epochs: int) -> list[set[str]]:
    """Train on noise; return which tensors changed in each epoch."""
    optimiser = make_optimiser(network, SGD, treated)
    set_learning_rate(optimiser, 0.01)
    generator = torch.Generator().manual_seed(1)
    changed = []
    for epoch in range(epochs):
        before = copied(network)
        to_training_mode(network, treated, step=epoch * STEPS)
        for _ in range(STEPS):
            optimiser.zero_grad()
            network(torch.randn(4, 1, 16, 16, generator=generator)).square().mean().backward()
            optimiser.step()
        changed.append(set().union(*moved("resnet18", before, copied(network))))
    return changed


def of(state: State, *prefixes: str) -> set[str]:
    return {name for name in state if name.startswith(prefixes)}


def test_parts_thaw_one_after_the_other_and_one_never(initial: State) -> None:
    """Batch norm goes with its part, its statistics too."""
    network = resnet18(initial)
    first, second, third = changes_by_epoch(network, in_parts(network, IN_PARTS), epochs=3)
    assert first == of(initial, "fc.")
    assert second == of(initial, "fc.", "layer2.1.", "layer4.")
    assert third == set(initial) - of(initial, "layer1.", "layer2.0.")


def test_the_first_part_that_fits_a_tensor_decides_its_rate(initial: State) -> None:
    network = resnet18(initial)
    optimiser = make_optimiser(network, SGD, in_parts(network, IN_PARTS))
    set_learning_rate(optimiser, 0.2)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    rates = [(names[id(p)], group["lr"]) for group in optimiser.param_groups for p in group["params"]]
    expected = {"conv1.weight": 0.02, "layer2.1.bn1.bias": 0.1, "layer4.0.conv1.weight": 0.1}
    assert {name: rate for name, rate in rates if name in expected} == pytest.approx(expected)
    assert {rate for name, rate in rates if is_of_head("resnet18", name)} == {0.2}
    learning = [name for name in names.values() if not name.startswith(("layer1.", "layer2.0."))]
    assert sorted(name for name, _ in rates) == sorted(learning)


def test_the_rate_of_every_part_is_told_as_it_is_at_a_step(initial: State) -> None:
    treated = in_parts(resnet18(initial), IN_PARTS)
    names = ("lr/head", "lr/layer1", "lr/layer2", "lr/backbone")
    by_step = [learning_rates(treated, 0.2, step) for step in (0, STEPS, 2 * STEPS)]
    assert [tuple(rates[name] for name in names) for rates in by_step] == [
        (0.2, 0.0, 0.0, 0.0),
        (0.2, 0.0, 0.1, 0.0),
        (0.2, 0.0, 0.1, pytest.approx(0.02)),
    ]
    assert all(set(rates) == set(names) for rates in by_step)
    assert learning_rates(None, 0.2, 5) == {"lr/network": 0.2}


def test_held_batch_norm_is_held_in_every_part(initial: State) -> None:
    network = resnet18(initial)
    params = IN_PARTS.model_copy(update={"batch_norm": "frozen"})
    third = changes_by_epoch(network, in_parts(network, params), epochs=3)[-1]
    assert {name for name in third if "running" in name or "bn" in name or "downsample.1" in name} == set()
    assert of(initial, "layer4.0.conv1", "fc.") <= third


def test_parts_may_be_the_whole_backbone(initial: State) -> None:
    parts = [{"tensors": ["conv1", "bn1", "layer"], "rate": 0.5, "frozen_epochs": 0}]
    treated = in_parts(resnet18(initial), transfer(parts=parts))
    assert learning_rates(treated, 0.2, 0) == {"lr/head": 0.2, "lr/conv1": 0.1}


@pytest.mark.parametrize(
    ("tensors", "what", "fix"),
    [
        pytest.param(
            [["layer5."]],
            "transfer.parts[0].tensors: no tensor of resnet18 begins with 'layer5.'",
            "the parts of resnet18 are: conv1, bn1, layer1, layer2, layer3, layer4",
            id="no such tensor",
        ),
        pytest.param(
            [["layer_2.1."]],
            "transfer.parts[0].tensors: no tensor of resnet18 begins with 'layer_2.1.'",
            "did you mean 'layer2.1'? ",
            id="a slip",
        ),
        pytest.param(
            [["layer1."], ["conv1", "fc."]],
            "transfer.parts[1].tensors: 'fc.' is of the head of resnet18, which learns at the full rate",
            "name a part of the backbone",
            id="of the head",
        ),
        pytest.param(
            [["layer"], ["layer1."]],
            "transfer.parts[1].tensors: an earlier part has all of 'layer1.'",
            "leave one of them out",
            id="taken already",
        ),
    ],
)
def test_a_part_without_tensors_is_refused(
    initial: State, tensors: list[list[str]], what: str, fix: str
) -> None:
    parts = [{"tensors": each, "rate": 0.5, "frozen_epochs": 0} for each in tensors]
    with pytest.raises(ParamsError) as caught:
        in_parts(resnet18(initial), transfer(parts=parts))
    assert f"{caught.value.where}: {caught.value.what}" == what
    assert fix in caught.value.fix


def test_a_part_thaws_before_the_end() -> None:
    params = {"backbone_rate": 0.1, "frozen_epochs": 0, "batch_norm": "train"}
    parts = [{"tensors": ["layer1."], "rate": 0.5, "frozen_epochs": 3}]
    with pytest.raises(ValueError, match=r"frozen_epochs of 'layer1\.' must be below epochs"):
        toy_params(network="resnet18", epochs=3, transfer={**params, "parts": parts})
    toy_params(network="resnet18", epochs=4, transfer={**params, "parts": parts})


# ---- tensors of a shallower network ---------------------------------------------------------------------


def test_copied_tensors_stay_until_they_are_thawed_and_then_learn_as_the_rest(initial: State) -> None:
    network = resnet18(initial)
    copies = of(initial, "layer1.", "layer4.1.", "fc.")
    treated = Transfer.of_tensors(network, copies, thaw_step=STEPS)
    assert learning_rates(treated, 0.2, STEPS - 1) == {"lr/network": 0.2, "lr/copied": 0.0}
    assert learning_rates(treated, 0.2, STEPS) == {"lr/network": 0.2, "lr/copied": 0.2}
    first, second = changes_by_epoch(network, treated, epochs=2)
    assert first == set(initial) - copies
    assert second == set(initial)


def test_copied_tensors_that_are_not_frozen_learn_from_the_first_step(initial: State) -> None:
    network = resnet18(initial)
    treated = Transfer.of_tensors(network, of(initial, "layer1."), thaw_step=0)
    assert changes_by_epoch(network, treated, epochs=1) == [set(initial)]
