"""The losses against numbers worked by hand, torch and scikit-learn, and the laws they obey."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sklearn.metrics import log_loss  # type: ignore[import-untyped]  # no stubs
from torch import Tensor
from torch.nn import functional

from cnnpipe.params.losses import ClassifyLossParams
from cnnpipe.training.losses import (
    PictureLoss,
    absolute_error,
    classification_loss,
    cross_entropy,
    entropy,
    focal_loss,
    hinge_loss,
    kl_divergence,
    labels_of,
    regression_loss,
    smooth_l1,
    smoothed,
    squared_error,
)

SCORES = [0.3, 0.6, 0.1]
LOGITS = torch.tensor([SCORES], dtype=torch.float64).log()
LOSSES: dict[str, dict[str, Any]] = {
    "cross_entropy": {"name": "cross_entropy", "label_smoothing": 0.0},
    "smoothed": {"name": "cross_entropy", "label_smoothing": 0.1},
    "focal": {"name": "focal", "gamma": 2.0},
    "kl_divergence": {"name": "kl_divergence", "label_smoothing": 0.1},
    "hinge": {"name": "hinge", "margin": 1.0, "power": 1},
    "squared_hinge": {"name": "hinge", "margin": 1.0, "power": 2},
    "mse": {"name": "mse", "reduction": "mean"},
    "l2": {"name": "mse", "reduction": "sum"},
    "mae": {"name": "mae", "reduction": "mean"},
    "smooth_l1": {"name": "smooth_l1", "beta": 0.5, "reduction": "sum"},
}
sizes = st.tuples(st.integers(2, 6), st.integers(1, 8), st.integers(0, 2**31))
each_loss = pytest.mark.parametrize("name", LOSSES)


def loss_of(name: str, *, class_weights: list[float] | None = None) -> PictureLoss:
    params: ClassifyLossParams = TypeAdapter[Any](ClassifyLossParams).validate_python(LOSSES[name])
    return classification_loss(params, class_weights=class_weights)


def drawn(num_classes: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return logits (size, num_classes), some of them far apart, and classes."""
    generator = torch.Generator().manual_seed(seed)
    logits_BK = 5 * torch.randn(size, num_classes, generator=generator, dtype=torch.float64)
    return logits_BK, torch.randint(num_classes, (size,), generator=generator)


def hard(targets_B: Tensor, num_classes: int) -> Tensor:
    return labels_of(targets_B, num_classes=num_classes).double()


def soft(num_classes: int, size: int, seed: int) -> Tensor:
    return drawn(num_classes, size, seed + 1)[0].softmax(dim=1)


@pytest.mark.parametrize(
    ("target", "smoothing", "expected"),
    [
        pytest.param(0, 0.0, 1.2040, id="-ln 0.3"),
        pytest.param(1, 0.0, 0.5108, id="-ln 0.6"),
        # 0.9 + 0.1/3 of -ln 0.3, and 0.1/3 of each of the others
        pytest.param(
            0, 0.1, -(0.9 * math.log(0.3) + 0.1 / 3 * sum(map(math.log, SCORES))), id="a tenth given away"
        ),
    ],
)
def test_the_cross_entropy_of_one_sample(target: int, smoothing: float, expected: float) -> None:
    labels = smoothed(hard(torch.tensor([target]), 3), smoothing)
    assert cross_entropy(LOGITS, labels).item() == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("cross_entropy", 1.2040, id="cross entropy: -ln 0.3"),
        pytest.param("focal", 0.7**2 * 1.2040, id="focal: (1 - 0.3)² · -ln 0.3"),
        pytest.param("l2", 0.49 + 0.36 + 0.01, id="L2: 0.7² + 0.6² + 0.1²"),
        pytest.param("mse", 0.86 / 3, id="MSE"),
        pytest.param("mae", 1.4 / 3, id="MAE: (0.7 + 0.6 + 0.1) / 3"),
        # β = 0.5: 0.7 - 0.25, 0.6 - 0.25, and 0.1² / (2 · 0.5)
        pytest.param("smooth_l1", 0.45 + 0.35 + 0.01, id="smooth L1"),
        # the true logit is ln 0.3; 1 - ln 0.3 + ln 0.6 = 1.6931, 1 - ln 0.3 + ln 0.1 < 0
        pytest.param("hinge", 1.6931 / 3, id="hinge"),
        pytest.param("squared_hinge", 1.69315**2 / 3, id="squared hinge"),
    ],
)
def test_the_loss_of_one_sample(name: str, expected: float) -> None:
    found = loss_of(name)(LOGITS, hard(torch.tensor([0]), 3))
    assert found.tolist() == pytest.approx([expected], abs=5e-5)


def test_the_entropy_of_a_quarter_and_three_quarters_is_0_811_bit() -> None:
    scores = torch.tensor([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    assert (entropy(scores) / math.log(2)).tolist() == pytest.approx([0.8113, 1.0, 0.0], abs=5e-5)


@given(sizes)
def test_cross_entropy_is_scikit_learns_log_loss(drawing: tuple[int, int, int]) -> None:
    logits_BK, targets_B = drawn(*drawing)
    expected = log_loss(targets_B, logits_BK.softmax(dim=1), labels=range(drawing[0]))
    assert cross_entropy(logits_BK, hard(targets_B, drawing[0])).mean().item() == pytest.approx(expected)


@given(sizes, st.sampled_from([0.0, 0.2]))
def test_weighted_smoothed_cross_entropy_is_torchs(drawing: tuple[int, int, int], smoothing: float) -> None:
    logits_BK, targets_B = drawn(*drawing)
    weights = [0.5 + k for k in range(drawing[0])]
    found = cross_entropy(logits_BK, smoothed(hard(targets_B, drawing[0]), smoothing), class_weights=weights)
    expected = functional.cross_entropy(
        logits_BK, targets_B, torch.tensor(weights).double(), reduction="none", label_smoothing=smoothing
    )
    torch.testing.assert_close(found, expected)


@given(sizes)
def test_soft_labels_go_into_cross_entropy_and_kl_divergence_as_torchs(drawing: tuple[int, int, int]) -> None:
    logits_BK, labels_BK = drawn(*drawing)[0], soft(*drawing)
    expected = functional.cross_entropy(logits_BK, labels_BK, reduction="none")
    torch.testing.assert_close(cross_entropy(logits_BK, labels_BK), expected)
    expected = functional.kl_div(logits_BK.log_softmax(dim=1), labels_BK, reduction="none").sum(dim=1)
    torch.testing.assert_close(kl_divergence(logits_BK, labels_BK), expected)


@given(sizes)
def test_kl_divergence_is_0_where_the_scores_are_the_labels_and_above_elsewhere(
    drawing: tuple[int, int, int],
) -> None:
    logits_BK, labels_BK = drawn(*drawing)[0], soft(*drawing)
    assert (kl_divergence(logits_BK, labels_BK) > -1e-12).all()
    same = kl_divergence(logits_BK, logits_BK.softmax(dim=1))
    torch.testing.assert_close(same, torch.zeros_like(same))


def test_kl_divergence_of_hard_labels_is_a_number() -> None:
    labels = hard(torch.tensor([0]), 3)
    torch.testing.assert_close(kl_divergence(LOGITS, labels), cross_entropy(LOGITS, labels))


@given(sizes, st.sampled_from([1, 2]), st.sampled_from([0.5, 1.0, 3.0]))
def test_hinge_is_torchs(drawing: tuple[int, int, int], power: Any, margin: float) -> None:
    logits_BK, targets_B = drawn(*drawing)
    found = hinge_loss(logits_BK, hard(targets_B, drawing[0]), margin=margin, power=power)
    expected = functional.multi_margin_loss(logits_BK, targets_B, p=power, margin=margin, reduction="none")
    torch.testing.assert_close(found, expected)


def test_hinge_is_0_where_the_margin_is_met_and_not_before() -> None:
    logits = torch.tensor([[2.0, 1.0, -3.0], [2.0, 1.1, -3.0]])
    found = hinge_loss(logits, hard(torch.tensor([0, 0]), 3).float(), margin=1.0, power=1)
    assert found.tolist() == pytest.approx([0.0, 0.1 / 3])


@given(sizes)
def test_focal_loss_without_gamma_is_cross_entropy_and_is_below_it_with(
    drawing: tuple[int, int, int],
) -> None:
    logits_BK, labels_BK = drawn(*drawing)[0], soft(*drawing)
    plain = cross_entropy(logits_BK, labels_BK)
    torch.testing.assert_close(focal_loss(logits_BK, labels_BK, gamma=0.0), plain)
    assert (focal_loss(logits_BK, labels_BK, gamma=2.0) <= plain).all()


def test_focal_loss_has_a_slope_where_the_score_is_1() -> None:
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([[1.0, 0.0]]), gamma=0.5).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 4)])
def test_distances_are_torchs(reduction: Any, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs, targets = (3 * torch.randn(shape, generator=generator) for _ in range(2))
    for found, of_torch in (
        (squared_error(outputs, targets, reduction=reduction), functional.mse_loss),
        (absolute_error(outputs, targets, reduction=reduction), functional.l1_loss),
        (
            smooth_l1(outputs, targets, beta=0.7, reduction=reduction),
            lambda o, t, reduction: functional.smooth_l1_loss(o, t, beta=0.7, reduction=reduction),
        ),
    ):
        assert found.shape == (5,)
        pictures = zip(outputs.reshape(5, -1), targets.reshape(5, -1), strict=True)
        expected = torch.stack([of_torch(o, t, reduction=reduction) for o, t in pictures])
        torch.testing.assert_close(found, expected)


def test_smooth_l1_is_squared_within_1_and_straight_beyond() -> None:
    found = smooth_l1(torch.tensor([0.5, 1.0, -3.0]), torch.zeros(3), beta=1.0, reduction="mean")
    assert found.tolist() == [0.125, 0.5, 2.5]


@pytest.mark.parametrize("name", ["mse", "mae", "smooth_l1"])
def test_losses_of_regression_are_of_each_picture(name: str) -> None:
    params: ClassifyLossParams = TypeAdapter[Any](ClassifyLossParams).validate_python(LOSSES[name])
    found = regression_loss(params)(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))  # type: ignore[arg-type]
    assert found.tolist() == [0.0, {"mse": 4.0, "mae": 2.0, "smooth_l1": 1.75}[name]]


@each_loss
@settings(max_examples=20)
@given(drawing=sizes, cut=st.integers(0, 8))
def test_means_over_the_parts_of_a_batch_make_the_mean_over_the_batch(
    name: str, drawing: tuple[int, int, int], cut: int
) -> None:
    num_classes, size, _ = drawing
    logits_BK, targets_B = drawn(*drawing)
    labels_BK = hard(targets_B, num_classes)
    loss = loss_of(name, class_weights=[0.5 + k for k in range(num_classes)])
    parts = [range(min(cut, size)), range(min(cut, size), size)]
    of_parts = [(len(p), loss(logits_BK[list(p)], labels_BK[list(p)]).mean()) for p in parts if len(p)]
    whole = loss(logits_BK, labels_BK)
    assert whole.shape == (size,)
    together = sum(number * mean for number, mean in of_parts) / size
    torch.testing.assert_close(together, whole.mean())


@each_loss
@settings(max_examples=20)
@given(drawing=sizes)
def test_no_loss_is_below_0_and_each_has_a_slope(name: str, drawing: tuple[int, int, int]) -> None:
    logits_BK, targets_B = drawn(*drawing)
    logits_BK.requires_grad_()
    losses_B = loss_of(name)(logits_BK, hard(targets_B, drawing[0]))
    losses_B.sum().backward()  # type: ignore[no-untyped-call]
    assert (losses_B > -1e-12).all()
    assert logits_BK.grad is not None
    assert logits_BK.grad.isfinite().all()


@each_loss
def test_every_loss_falls_on_its_slope(name: str) -> None:
    """A few steps down the gradient make the loss smaller: the sign is right."""
    logits_BK, targets_B = drawn(4, 8, 0)
    logits_BK = (logits_BK / 5).requires_grad_()
    labels_BK, loss = hard(targets_B, 4), loss_of(name)
    before = loss(logits_BK, labels_BK).mean()
    (slope,) = torch.autograd.grad(before, logits_BK)
    assert loss(logits_BK - slope, labels_BK).mean() < before


@given(sizes, st.floats(0.0, 0.99))
def test_smoothed_labels_sum_to_1_and_keep_the_true_class_first(
    drawing: tuple[int, int, int], smoothing: float
) -> None:
    targets_B = drawn(*drawing)[1]
    labels_BK = smoothed(hard(targets_B, drawing[0]), smoothing)
    torch.testing.assert_close(labels_BK.sum(dim=1), torch.ones(drawing[1]).double())
    assert torch.equal(labels_BK.argmax(dim=1), targets_B)
