"""One epoch: the mean loss, the learning rate, and losses that are no numbers."""

from collections.abc import Callable, Iterable, Mapping

import pytest
import torch
from sklearn.metrics import log_loss  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn
from toy_pictures import CROSS_ENTROPY, half, toy_epoch, toy_network, toy_pictures

from cnnpipe.errors import ModelError
from cnnpipe.params.optimisers import SgdParams
from cnnpipe.training.classification import Batch, classification_objective
from cnnpipe.training.devices import Precision, make_accelerator, make_scaler
from cnnpipe.training.epoch import Conditions, Walk, refuse_no_number, train_one_epoch
from cnnpipe.training.objective import Objective
from cnnpipe.training.optimisers import make_optimiser
from cnnpipe.training.step import Learner

PLAIN = classification_objective(half, CROSS_ENTROPY)
SGD = SgdParams(name="sgd", learning_rate=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)


def learner(
    network: nn.Module,
    *,
    objective: Objective[Batch] = PLAIN,
    precision: Precision = "float32",
) -> Learner[Batch]:
    return Learner(
        accelerator=make_accelerator("cpu"),
        network=network,
        optimiser=make_optimiser(network, SGD),
        objective=objective,
        seed=3,
        precision=precision,
        scaler=make_scaler(precision, torch.device("cpu")),
    )


def train_epoch(
    learner: Learner[Batch],
    batches: Iterable[Batch],
    *,
    first_step: int = 0,
    rate: Callable[[int], float] = lambda _: 0.0,
) -> tuple[dict[str, float], int]:
    """Train one epoch; return the means of its losses and the number of its steps."""
    walk = Walk(step=first_step, num_pieces=1)
    train_one_epoch(learner, batches, walk, Conditions(rate=rate))
    refuse_no_number(learner, walk)
    return walk.tally.means(), walk.step - first_step


def changed(change: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> Objective[Batch]:
    """Return the plain objective with other losses."""

    def losses(network: nn.Module, batch: Batch, device: torch.device) -> Mapping[str, Tensor]:
        return change(PLAIN.losses(network, batch, device))

    return Objective(losses=losses, judge=PLAIN.judge)


def test_the_epochs_loss_is_the_mean_over_pictures_not_batches() -> None:
    network = toy_network(dropout=0.0)
    pictures, targets = toy_pictures(10, seed=0)
    batches = [(pictures[:7], targets[:7]), (pictures[7:], targets[7:])]
    found, num_steps = train_epoch(learner(network), batches)
    expected = log_loss(targets, network(half(pictures)).double().softmax(dim=1).detach())
    assert found == {"loss": pytest.approx(expected, rel=1e-5)}
    assert num_steps == 2


def test_each_step_has_its_own_rate() -> None:
    """The network moves by rate × gradient: nothing at rate 0, and the steps are counted on."""
    network = toy_network(dropout=0.0)
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.0

    before = [p.clone() for p in network.parameters()]
    train_epoch(learner(network), toy_epoch(1), first_step=6, rate=rate)
    assert asked == [6, 7, 8]
    assert all(torch.equal(p, q) for p, q in zip(before, network.parameters(), strict=True))
    train_epoch(learner(network), toy_epoch(1), rate=lambda _: 0.1)
    assert not any(torch.equal(p, q) for p, q in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_its_step(value: float) -> None:
    steps = iter([1.0, value, 1.0])
    factors = changed(lambda parts: {name: part * next(steps) for name, part in parts.items()})
    with pytest.raises(ModelError, match=rf"training, step 8: the loss is {value}") as caught:
        train_epoch(learner(toy_network(), objective=factors), toy_epoch(1), first_step=6)
    assert "lower optimiser.learning_rate" in caught.value.fix


def test_the_loss_is_the_sum_of_its_parts_and_each_is_told() -> None:
    network = toy_network(dropout=0.0)
    (whole, _) = train_epoch(learner(network), toy_epoch(1))
    assert list(whole) == ["loss"]
    halves = changed(lambda parts: {"a": 0.25 * parts["cross_entropy"], "b": 0.75 * parts["cross_entropy"]})
    (found, _) = train_epoch(learner(network, objective=halves), toy_epoch(1))
    assert found == pytest.approx(
        {"loss": whole["loss"], "loss/a": 0.25 * whole["loss"], "loss/b": 0.75 * whole["loss"]}
    )


def test_float32_takes_the_very_steps_of_a_bare_loop() -> None:
    """To the last bit: precision and scaling must leave no trace where they are not wanted."""
    ours, bare = toy_network(dropout=0.0), toy_network(dropout=0.0)
    train_epoch(learner(ours), toy_epoch(1), rate=lambda _: 0.1)
    optimiser = make_optimiser(bare, SGD.model_copy(update={"learning_rate": 0.1}))
    bare.train()
    for pictures, targets in toy_epoch(1):
        optimiser.zero_grad()
        seen = half(pictures).contiguous(memory_format=torch.channels_last)
        nn.functional.cross_entropy(bare(seen), targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), bare.parameters(), strict=True))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_computes_the_network_low_and_the_loss_in_float32(precision: Precision) -> None:
    seen: list[torch.dtype] = []

    def losses(network: nn.Module, batch: Batch, device: torch.device) -> Mapping[str, Tensor]:
        parts = PLAIN.losses(network, batch, device)
        seen.append(parts["cross_entropy"].dtype)
        return parts

    network = toy_network(dropout=0.0)
    inner: list[torch.dtype] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda _module, _inputs, output: inner.append(output.dtype))
    objective = Objective(losses=losses, judge=PLAIN.judge)
    low = learner(network, objective=objective, precision=precision)
    found, _ = train_epoch(low, toy_epoch(1), rate=lambda _: 0.1)
    plain, _ = train_epoch(learner(toy_network(dropout=0.0)), toy_epoch(1), rate=lambda _: 0.1)
    assert set(inner) == {getattr(torch, precision)}
    assert set(seen) == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert found["loss"] == pytest.approx(plain["loss"], rel=0.02)
    assert found["loss"] != plain["loss"]
    inner.clear()
    PLAIN.judge(network, toy_epoch(1), torch.device("cpu"))
    assert set(inner) == {torch.float32}


def test_a_step_whose_gradients_are_infinite_in_float16_is_left_out() -> None:
    network = toy_network(dropout=0.0)
    low = learner(network, precision="float16")
    assert low.scaler is not None
    low.scaler.load_state_dict(low.scaler.state_dict() | {"scale": 2.0**40})
    before = [p.clone() for p in network.parameters()]
    _, num_steps = train_epoch(low, toy_epoch(1), rate=lambda _: 0.1)
    assert num_steps == 3
    assert low.scaler.get_scale() == 2.0**37
    assert all(torch.equal(p, q) for p, q in zip(before, network.parameters(), strict=True))


def test_float16_that_holds_no_gradient_is_told() -> None:
    infinite = changed(lambda parts: {name: part * 2.0**90 for name, part in parts.items()})
    low = learner(toy_network(), objective=infinite, precision="float16")
    with pytest.raises(ModelError, match="step 20: float16 holds none of the gradients") as caught:
        train_epoch(low, [toy_pictures(4, seed=0)] * 20)
    assert caught.value.fix == "set train.precision: float32"


def test_a_loss_that_is_no_number_in_float16_names_the_precision() -> None:
    broken = changed(lambda parts: {name: part * float("inf") for name, part in parts.items()})
    low = learner(toy_network(), objective=broken, precision="float16")
    with pytest.raises(ModelError) as caught:
        train_epoch(low, toy_epoch(1))
    assert caught.value.fix.endswith("or set train.precision: float32")
