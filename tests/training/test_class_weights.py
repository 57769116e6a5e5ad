"""Class weights against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight  # type: ignore[import-untyped]  # no stubs

from cnnpipe.errors import ParamsError
from cnnpipe.params.losses import ClassWeights, CrossEntropyParams, HingeParams
from cnnpipe.training.class_weights import class_weights_of

CLASSES = ["cat", "dog", "owl"]


def loss(class_weights: ClassWeights | None) -> CrossEntropyParams:
    return CrossEntropyParams(name="cross_entropy", label_smoothing=0.0, class_weights=class_weights)


@given(st.lists(st.sampled_from(CLASSES), max_size=30))
def test_balanced_is_scikit_learns(more: list[str]) -> None:
    labels = [*CLASSES, *more]
    expected = compute_class_weight("balanced", classes=np.array(CLASSES), y=np.array(labels))
    assert class_weights_of(loss("balanced"), CLASSES, labels) == pytest.approx(expected)


@given(st.lists(st.sampled_from(CLASSES), max_size=30), st.floats(0.01, 100.0))
def test_the_mean_weight_over_the_pictures_of_train_is_1(more: list[str], of_owls: float) -> None:
    labels = [*CLASSES, *more]
    weights = class_weights_of(loss({"owl": of_owls}), CLASSES, labels)
    assert weights is not None
    by_label = dict(zip(CLASSES, weights, strict=True))
    assert np.mean([by_label[label] for label in labels]) == pytest.approx(1.0)
    assert weights[2] / weights[0] == pytest.approx(of_owls)
    assert weights[0] == weights[1]  # what is not named weighs the same


def test_without_weights_there_are_none() -> None:
    assert class_weights_of(loss(None), CLASSES, CLASSES) is None
    assert class_weights_of(HingeParams(name="hinge", margin=1.0, power=1), CLASSES, CLASSES) is None


def test_a_weight_of_no_class_is_refused_with_what_is_meant() -> None:
    with pytest.raises(ParamsError, match=r"names 'dgo', which is no class\n.*did you mean 'dog'\?"):
        class_weights_of(loss({"dgo": 2.0}), CLASSES, CLASSES)
