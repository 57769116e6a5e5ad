"""What training makes small, and what it pulls weights towards."""

from typing import Annotated, Literal

from pydantic import Field

from cnnpipe.params.section import Fraction, NotNegative, Params, Positive

ClassWeights = Literal["balanced"] | dict[str, Positive]  # balanced: as rare, so heavy


class CrossEntropyParams(Params):
    """Cross entropy; the classes may weigh differently."""

    name: Literal["cross_entropy"]
    label_smoothing: Fraction  # share of certainty given away
    class_weights: ClassWeights | None = None


class FocalParams(Params):
    """Cross entropy that all but leaves out what is easy."""

    name: Literal["focal"]
    gamma: NotNegative  # 0: cross entropy
    class_weights: ClassWeights | None = None


class KlDivergenceParams(Params):
    """KL divergence from soft labels: smoothed, mixed, or a teacher's."""

    name: Literal["kl_divergence"]
    label_smoothing: Fraction


class HingeParams(Params):
    """Multi-class hinge loss, as of support vector machines."""

    name: Literal["hinge"]
    margin: Positive
    power: Literal[1, 2]


class SquaredErrorParams(Params):
    """MSE, or L2: of classifiers between scores and the label as 0s and a 1."""

    name: Literal["mse"]
    reduction: Literal["mean", "sum"]  # over the outputs of one picture


class AbsoluteErrorParams(Params):
    """MAE, or L1."""

    name: Literal["mae"]
    reduction: Literal["mean", "sum"]


class SmoothL1Params(Params):
    """Squared near 0, absolute beyond `beta`."""

    name: Literal["smooth_l1"]
    beta: Positive  # where one becomes the other; 1 in the course
    reduction: Literal["mean", "sum"]


ClassifyLossParams = Annotated[
    CrossEntropyParams
    | FocalParams
    | KlDivergenceParams
    | HingeParams
    | SquaredErrorParams
    | AbsoluteErrorParams
    | SmoothL1Params,
    Field(discriminator="name"),
]
RegressLossParams = Annotated[
    SquaredErrorParams | AbsoluteErrorParams | SmoothL1Params, Field(discriminator="name")
]


class PenaltyParams(Params):
    """Added to the loss: `l1` Σ|w| + `l2` Σw² over the weights, biases and normalisation left out."""

    l1: NotNegative
    l2: NotNegative


class DistillationParams(Params):
    """A trained classifier as teacher: its soft scores are learnt beside the labels."""

    model: str  # folder of its bundle, e.g. models/lite0
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # so that another teacher is other params
    temperature: Positive  # above 1: softer
    share: Annotated[float, Field(gt=0.0, le=1.0)]  # of the loss; the rest is that of the labels
