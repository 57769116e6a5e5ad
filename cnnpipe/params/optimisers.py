"""How weights follow their gradients, and how fast over a training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cnnpipe.params.section import Count, NotNegative, Params, Positive

_Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
_Factor = Annotated[float, Field(gt=0.0, lt=1.0)]


class SgdParams(Params):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    learning_rate: Positive
    momentum: _Momentum
    nesterov: bool
    weight_decay: NotNegative

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("momentum must be above 0 where nesterov is true")
        return self


class AdamParams(Params):
    """Adam; its decay is part of the gradient, as an L2 penalty is."""

    name: Literal["adam"]
    learning_rate: Positive
    weight_decay: NotNegative


class AdamWParams(Params):
    """Adam with decay apart from the gradient."""

    name: Literal["adamw"]
    learning_rate: Positive
    weight_decay: NotNegative


class RmsPropParams(Params):
    """RMSprop."""

    name: Literal["rmsprop"]
    learning_rate: Positive
    smoothing: _Momentum  # of the squared gradients' mean; 0.9 in Hinton's lecture
    momentum: _Momentum
    weight_decay: NotNegative


OptimiserParams = Annotated[SgdParams | AdamParams | AdamWParams | RmsPropParams, Field(discriminator="name")]


class ConstantParams(Params):
    """One rate, after a linear warm-up."""

    name: Literal["constant"]
    warmup_epochs: NotNegative


class CosineParams(Params):
    """Half a wave down to nearly 0."""

    name: Literal["cosine"]
    warmup_epochs: NotNegative


class StepParams(Params):
    """Down by a factor every few epochs."""

    name: Literal["step"]
    warmup_epochs: NotNegative
    every_epochs: Count
    factor: _Factor


class OneCycleParams(Params):
    """Up to the rate and down to nearly 0, both as half a wave."""

    name: Literal["one_cycle"]
    rise_fraction: _Factor  # of the training, in which the rate rises
    start_factor: _Factor  # of the rate, at the first step
    end_factor: _Factor  # of the rate, at the last step


class PlateauParams(Params):
    """Down by a factor whenever the watched metric of val has not gained for some epochs."""

    name: Literal["plateau"]
    warmup_epochs: NotNegative
    factor: _Factor
    patience_epochs: Count
    min_delta: NotNegative


ScheduleParams = Annotated[
    ConstantParams | CosineParams | StepParams | OneCycleParams | PlateauParams, Field(discriminator="name")
]
