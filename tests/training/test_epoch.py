"""One epoch: the mean loss, the learning rate, and losses that are no numbers."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn.metrics import f1_score, log_loss  # type: ignore[import-untyped]  # no stubs
from torch import Tensor, nn
from toy_pictures import half, toy_epoch, toy_network, toy_pictures

from cnnpipe.errors import ModelError
from cnnpipe.training.devices import make_accelerator
from cnnpipe.training.epoch import Learner, judge, train_one_epoch
from cnnpipe.training.losses import cross_entropy

plain = partial(cross_entropy, label_smoothing=0.0)


def learner(
    network: nn.Module,
    *,
    learning_rate: Callable[[int], float] = lambda _: 0.0,
    loss: Callable[[Tensor, Tensor], Tensor] = plain,
) -> Learner:
    return Learner(
        accelerator=make_accelerator("cpu"),
        network=network,
        optimiser=torch.optim.SGD(network.parameters(), lr=1.0),
        normalise=half,
        loss=loss,
        learning_rate=learning_rate,
    )


def test_the_epochs_loss_is_the_mean_over_pictures_not_batches() -> None:
    network = toy_network(dropout=0.0)
    pictures, targets = toy_pictures(10, seed=0)
    batches = [(pictures[:7], targets[:7]), (pictures[7:], targets[7:])]
    loss, num_steps = train_one_epoch(learner(network), batches, first_step=0)
    expected = log_loss(targets, network(half(pictures)).double().softmax(dim=1).detach())
    assert loss == pytest.approx(expected, rel=1e-5)
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

    def loss(logits_BK: Tensor, targets_B: Tensor) -> Tensor:
        return cross_entropy(logits_BK, targets_B, label_smoothing=0.0) * next(steps)

    with pytest.raises(ModelError, match=rf"training, step 8: the loss is {value}") as caught:
        train_one_epoch(learner(toy_network(), loss=loss), toy_epoch(1), first_step=6)
    assert "lower optimiser.learning_rate" in caught.value.fix


def test_judging_agrees_with_scikit_learn_and_changes_nothing() -> None:
    network = toy_network()
    pictures, targets = toy_pictures(30, seed=5)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = judge(learner(network), [(pictures[:16], targets[:16]), (pictures[16:], targets[16:])])
    logits_NK = network.eval()(half(pictures)).double().detach()
    predicted = logits_NK.argmax(dim=1)
    assert found["loss"] == pytest.approx(log_loss(targets, logits_NK.softmax(dim=1)), rel=1e-5)
    assert found["accuracy"] == pytest.approx((predicted == targets).double().mean().item())
    assert found["f1_macro"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_network_that_says_no_numbers_is_refused_by_val() -> None:
    network = toy_network()
    nn.init.constant_(next(network.parameters()), float("nan"))
    with pytest.raises(ModelError, match="the loss on val is nan"):
        judge(learner(network), [toy_pictures(6, seed=0)])
