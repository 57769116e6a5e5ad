"""How much the pictures of each class count in a loss."""

from collections import Counter
from collections.abc import Iterable, Sequence

from cnnpipe.errors import ParamsError
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.losses import ClassifyLossParams, ClassWeights


def class_weights_of(
    loss: ClassifyLossParams, classes: Sequence[str], labels: Iterable[str]
) -> list[float] | None:
    """Return the weight of each class in the loss of params; None where it has none.

    They are scaled so that the mean weight over the pictures of train is 1: the rate needs no other value.

    Args:
        loss: with or without `class_weights`; balanced: N / (K n_k), for N pictures, n_k of class k.
        classes: K names, in the order of the outputs; each has a picture in train.
        labels: of the pictures of train.

    Raises:
        ParamsError: a weight is of no class.

    Source of balanced: scikit-learn, `compute_class_weight`; King, Zeng 2001, Logistic Regression in Rare
    Events Data.
    """
    wanted: ClassWeights | None = getattr(loss, "class_weights", None)
    if wanted is None:
        return None
    counts = Counter(labels)
    if wanted == "balanced":
        weights = {label: 1.0 / counts[label] for label in classes}
    else:
        _refuse_unknown(wanted, classes)
        weights = {label: wanted.get(label, 1.0) for label in classes}
    mean = sum(weights[label] * counts[label] for label in classes) / counts.total()
    return [weights[label] / mean for label in classes]


def _refuse_unknown(named: Iterable[str], classes: Sequence[str]) -> None:
    unknown = [label for label in named if label not in classes]
    if unknown:
        what = f"loss.class_weights names {', '.join(map(repr, unknown))}, which is no class"
        fix = f"{did_you_mean(unknown[0], classes)}the classes are: {', '.join(classes)}"
        raise ParamsError("params.yaml", what, fix)
