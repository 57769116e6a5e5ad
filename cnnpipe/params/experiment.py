"""Sections `experiments.<name>` and `train`: what is trained, and on what machine."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cnnpipe.params.section import Count, Params, Probability

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class InputParams(Params):
    """What the network sees."""

    side_px: Annotated[int, Field(ge=8, le=1024)]
    channels: Literal[1, 3]
    fit: Literal["letterbox", "stretch"]
    normalisation: Literal["half", "imagenet", "dataset"]


class AugmentationParams(Params):
    """Random changes to a training picture, drawn per (seed, epoch, sample)."""

    crop_scale: Annotated[float, Field(gt=0.0, le=1.0)]
    flip_horizontal: Probability
    flip_vertical: Probability
    translate_fraction: Annotated[float, Field(ge=0.0, lt=1.0)]
    brightness: Annotated[float, Field(ge=0.0, le=1.0)]
    contrast: Annotated[float, Field(ge=0.0, le=1.0)]
    saturation: Annotated[float, Field(ge=0.0, le=1.0)]


class SgdParams(Params):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)]
    nesterov: bool
    weight_decay: NotNegative


class AdamParams(Params):
    """Adam with decoupled weight decay where it is not zero (AdamW)."""

    name: Literal["adam"]
    learning_rate: Positive
    weight_decay: NotNegative


class ScheduleParams(Params):
    """Learning rate over the epochs: a linear warm-up, then the named course."""

    name: Literal["constant", "cosine"]
    warmup_epochs: NotNegative


class EarlyStoppingParams(Params):
    """Stop when the watched metric of val has not grown by `min_delta` for `patience_epochs`."""

    patience_epochs: Count
    min_delta: NotNegative


class ExperimentParams(Params):
    """One experiment: a network and a recipe."""

    task: Literal["classify"]
    network: str
    weights: Literal["none", "package"]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    seed: int
    input: InputParams
    augmentation: AugmentationParams
    epochs: Count
    batch_size: Count
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)]
    optimiser: Annotated[SgdParams | AdamParams, Field(discriminator="name")]
    schedule: ScheduleParams
    watch: Literal["accuracy", "f1_macro", "loss"]
    early_stopping: EarlyStoppingParams | None

    @model_validator(mode="after")
    def _warm_up_ends_before_training(self) -> "ExperimentParams":
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be below epochs")
        return self


class TrainParams(Params):
    """Section `train`: the machine. The numbers of threads change the last digits of results."""

    device: Literal["auto", "cpu", "cuda"]
    num_threads: Count
    num_workers: Annotated[int, Field(ge=0, le=64)]
