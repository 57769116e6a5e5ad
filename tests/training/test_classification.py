"""What a classifier learns from a batch, and how it is judged on val."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import (  # type: ignore[import-untyped]  # no stubs
    average_precision_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from torch import Tensor, nn
from toy_pictures import CROSS_ENTROPY, half, toy_network, toy_pictures

from cnnpipe.errors import ModelError
from cnnpipe.evaluation.detection import COCO_NAMES
from cnnpipe.models.outputs import WithAuxiliaries
from cnnpipe.params.augmentation import MixParams
from cnnpipe.params.losses import HingeParams
from cnnpipe.params.watching import CLASSIFY_METRICS, CLASSIFY_METRICS_OF_A_CLASS, DETECT_METRICS
from cnnpipe.training.classification import Further, classification_objective, judge, watchable
from cnnpipe.training.losses import cross_entropy, labels_of
from cnnpipe.training.mixing import draw_mixing, mix_labels, mix_pictures

CPU = torch.device("cpu")
CLASSES = ["left", "right", "none"]


class _Branching(nn.Module):
    """Logits of one layer, and in training mode of two further ones on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Sequential(nn.Flatten(), nn.Linear(256, 3)) for _ in range(3))

    def forward(self, pictures_BCHW: Tensor) -> Tensor | WithAuxiliaries:
        own, *further = [head(pictures_BCHW) for head in self.heads]
        return WithAuxiliaries(own, tuple(further)) if self.training else own


def losses_of(network: nn.Module, batch: tuple[Tensor, Tensor], **further: Any) -> dict[str, Tensor]:
    objective = classification_objective(half, CROSS_ENTROPY, Further(**further))
    return dict(objective.losses(network, batch, CPU))


def test_the_part_has_the_name_of_the_loss() -> None:
    hinge = HingeParams(name="hinge", margin=1.0, power=1)
    objective = classification_objective(half, hinge)
    assert list(objective.losses(toy_network(), toy_pictures(6, seed=1), CPU)) == ["hinge"]


def test_auxiliary_classifiers_add_their_loss_times_its_weight() -> None:
    torch.manual_seed(0)
    network, batch = _Branching().train(), toy_pictures(6, seed=1)
    parts = losses_of(network, batch, auxiliary_weight=0.3)
    found = network(half(batch[0]))
    of_each = [nn.functional.cross_entropy(logits, batch[1]) for logits in (found.logits, *found.auxiliaries)]
    torch.testing.assert_close(parts["cross_entropy"], of_each[0])
    torch.testing.assert_close(parts["auxiliary"], 0.3 * (of_each[1] + of_each[2]))
    assert list(losses_of(network, batch)) == ["cross_entropy"]
    assert judge(network, [batch], CPU, normalise=half)["loss"] == pytest.approx(of_each[0].item())


def test_class_weights_weigh_pictures_and_not_batches() -> None:
    network, (pictures, targets) = toy_network(dropout=0.0), toy_pictures(6, seed=1)
    found = losses_of(network, (pictures, targets), class_weights=[2.0, 0.5, 0.5])
    of_each = nn.functional.cross_entropy(network(half(pictures)), targets, reduction="none")
    expected = (of_each * torch.tensor([2.0, 0.5, 0.5])[targets]).mean()  # torch would divide by 1's sum
    torch.testing.assert_close(found["cross_entropy"], expected)


@pytest.mark.parametrize("alphas", [(1.0, 0.0), (0.0, 1.0)], ids=["mixup", "cutmix"])
def test_mixed_batches_are_learnt_as_mixed_pictures_with_mixed_labels(alphas: tuple[float, float]) -> None:
    mix = MixParams(mixup_alpha=alphas[0], cutmix_alpha=alphas[1], probability=1.0)
    network, (pictures, targets) = toy_network(dropout=0.0), toy_pictures(6, seed=1)
    torch.manual_seed(4)
    mixing = draw_mixing(mix, 6)
    assert mixing is not None
    labels = mix_labels(labels_of(targets, num_classes=3), mixing, width=16, height=16)
    expected = cross_entropy(network(mix_pictures(half(pictures), mixing)), labels).mean()
    torch.manual_seed(4)
    torch.testing.assert_close(losses_of(network, (pictures, targets), mix=mix)["cross_entropy"], expected)
    plain = losses_of(network, (pictures, targets))["cross_entropy"]
    assert abs((plain - expected).item()) > 1e-4


def test_judging_agrees_with_scikit_learn_and_changes_nothing() -> None:
    network = toy_network()
    pictures, targets = toy_pictures(30, seed=5)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = [(pictures[:16], targets[:16]), (pictures[16:], targets[16:])]
    found = judge(network, batches, CPU, normalise=half)
    logits_NK = network.eval()(half(pictures)).double().detach()
    predicted = logits_NK.argmax(dim=1)
    assert list(found) == ["loss", "accuracy", "f1_macro"]
    assert found["loss"] == pytest.approx(log_loss(targets, logits_NK.softmax(dim=1)), rel=1e-5)
    assert found["accuracy"] == pytest.approx((predicted == targets).double().mean().item())
    assert found["f1_macro"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_the_watched_metric_is_judged_too_and_agrees_with_scikit_learn() -> None:
    network, (pictures, targets) = toy_network(), toy_pictures(30, seed=5)
    scores_NK = network.eval()(half(pictures)).double().detach().softmax(dim=1).numpy()
    predicted = scores_NK.argmax(axis=1)
    for watch, expected in {
        "recall/right": recall_score(targets == 1, predicted == 1),
        "precision/none": precision_score(targets == 2, predicted == 2, zero_division=0),
        "average_precision/left": average_precision_score(targets == 0, scores_NK[:, 0]),
        "log_loss": log_loss(targets, scores_NK),
    }.items():
        found = judge(network, [(pictures, targets)], CPU, normalise=half, watch=watch, classes=CLASSES)
        assert list(found) == ["loss", "accuracy", "f1_macro", watch]
        assert found[watch] == pytest.approx(expected)


def test_a_watched_precision_that_is_undefined_as_yet_is_0() -> None:
    network = toy_network()
    nn.init.zeros_([*network.parameters()][-2])
    with torch.no_grad():
        [*network.parameters()][-1].copy_(torch.tensor([1.0, 0.0, 0.0]))  # always the first class
    found = partial(judge, normalise=half, watch="precision/right", classes=CLASSES)(
        network, [toy_pictures(6, seed=0)], CPU
    )
    assert found["precision/right"] == 0.0


def test_what_can_be_watched_is_what_params_know() -> None:
    labels = np.array(CLASSES)[np.arange(9) % 3].tolist()
    of_classes = {f"{name}/{label}" for name in CLASSIFY_METRICS_OF_A_CLASS for label in CLASSES}
    assert set(watchable(CLASSES, labels)) == {*CLASSIFY_METRICS, *of_classes}
    assert set(DETECT_METRICS) == {"loss", *COCO_NAMES.values()}


def test_a_class_without_pictures_in_val_cannot_be_watched() -> None:
    known = watchable(CLASSES, ["left", "right"])
    assert "recall/left" in known
    assert "recall/none" not in known


def test_a_loss_on_val_that_is_no_number_is_told() -> None:
    network = toy_network()
    nn.init.constant_(next(network.parameters()), float("nan"))
    with pytest.raises(ModelError, match="validation: the loss on val is nan"):
        partial(judge, normalise=half)(network, [toy_pictures(6, seed=0)], CPU)
