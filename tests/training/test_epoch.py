"""One epoch: the mean loss, the learning rate, and losses that are no numbers."""

from collections.abc import Callable, Mapping

import pytest
import torch
from sklearn.metrics import log_loss  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn
from toy_pictures import half, toy_epoch, toy_network, toy_pictures

from cnnpipe.errors import ModelError
from cnnpipe.params.experiment import SgdParams
from cnnpipe.training.classification import Batch, classification_objective
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.epoch import Learner, train_one_epoch
from cnnpipe.training.objective import Objective
from cnnpipe.training.optimisers import make_optimiser

PLAIN = classification_objective(half, label_smoothing=0.0)
SGD = SgdParams(name="sgd", learning_rate=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)


def learner(
    network: nn.Module,
    *,
    learning_rate: Callable[[int], float] = lambda _: 0.0,
    objective: Objective[Batch] = PLAIN,
) -> Learner[Batch]:
    return Learner(
        accelerator=make_accelerator("cpu"),
        network=network,
        optimiser=make_optimiser(network, SGD),
        objective=objective,
        learning_rate=learning_rate,
        transfer=None,
    )


def changed(change: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> Objective[Batch]:
    """Return the plain objective with other losses."""

    def losses(network: nn.Module, batch: Batch, device: torch.device) -> Mapping[str, Tensor]:
        return change(PLAIN.losses(network, batch, device))

    return Objective(losses=losses, judge=PLAIN.judge)


def test_the_epochs_loss_is_the_mean_over_pictures_not_batches() -> None:
    network = toy_network(dropout=0.0)
    pictures, targets = toy_pictures(10, seed=0)
    batches = [(pictures[:7], targets[:7]), (pictures[7:], targets[7:])]
    found, num_steps = train_one_epoch(learner(network), batches, first_step=0)
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
    train_one_epoch(learner(network, learning_rate=rate), toy_epoch(1), first_step=6)
    assert asked == [6, 7, 8]
    assert all(torch.equal(p, q) for p, q in zip(before, network.parameters(), strict=True))
    train_one_epoch(learner(network, learning_rate=lambda _: 0.1), toy_epoch(1), first_step=0)
    assert not any(torch.equal(p, q) for p, q in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_its_step(value: float) -> None:
    steps = iter([1.0, value, 1.0])
    factors = changed(lambda parts: {name: part * next(steps) for name, part in parts.items()})
    with pytest.raises(ModelError, match=rf"training, step 8: the loss is {value}") as caught:
        train_one_epoch(learner(toy_network(), objective=factors), toy_epoch(1), first_step=6)
    assert "lower optimiser.learning_rate" in caught.value.fix


def test_the_loss_is_the_sum_of_its_parts_and_each_is_told() -> None:
    network = toy_network(dropout=0.0)
    (whole, _) = train_one_epoch(learner(network), toy_epoch(1), first_step=0)
    assert list(whole) == ["loss"]
    halves = changed(lambda parts: {"a": 0.25 * parts["cross_entropy"], "b": 0.75 * parts["cross_entropy"]})
    (found, _) = train_one_epoch(learner(network, objective=halves), toy_epoch(1), first_step=0)
    assert found == pytest.approx(
        {"loss": whole["loss"], "loss/a": 0.25 * whole["loss"], "loss/b": 0.75 * whole["loss"]}
    )
