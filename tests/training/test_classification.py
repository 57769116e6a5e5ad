"""How a classifier is judged on val."""

from functools import partial

import pytest
import torch
from sklearn.metrics import f1_score, log_loss  # type: ignore[import-untyped]  # no stubs
from torch import nn
from toy_pictures import half, toy_network, toy_pictures

from cnnpipe.errors import ModelError
from cnnpipe.training.classification import judge

CPU = torch.device("cpu")


def test_judging_agrees_with_scikit_learn_and_changes_nothing() -> None:
    network = toy_network()
    pictures, targets = toy_pictures(30, seed=5)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = [(pictures[:16], targets[:16]), (pictures[16:], targets[16:])]
    found = judge(network, batches, CPU, normalise=half)
    logits_NK = network.eval()(half(pictures)).double().detach()
    predicted = logits_NK.argmax(dim=1)
    assert found["loss"] == pytest.approx(log_loss(targets, logits_NK.softmax(dim=1)), rel=1e-5)
    assert found["accuracy"] == pytest.approx((predicted == targets).double().mean().item())
    assert found["f1_macro"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_loss_on_val_that_is_no_number_is_told() -> None:
    network = toy_network()
    nn.init.constant_(next(network.parameters()), float("nan"))
    with pytest.raises(ModelError, match="validation: the loss on val is nan"):
        partial(judge, normalise=half)(network, [toy_pictures(6, seed=0)], CPU)
