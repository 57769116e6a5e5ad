"""Sections `experiments.<name>` and `train`: what is trained, and on what machine."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from cnnpipe.params.load import did_you_mean
from cnnpipe.params.section import Count, Params, Probability

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

# Network -> where its first weights can come from. The builders are in models/networks.py; the names
# stand here too, so that params are checked without importing torch.
NETWORK_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"lenet": ("none",), "lite0": ("none", "package"), "resnet18": ("none",)}
)


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

    @field_validator("network")
    @classmethod
    def _the_network_is_known(cls, name: str) -> str:
        if name not in NETWORK_WEIGHTS:
            hint = f"{did_you_mean(name, NETWORK_WEIGHTS)}the networks are: {', '.join(NETWORK_WEIGHTS)}"
            raise ValueError(f"{name!r} is not known; {hint}")
        return name

    @model_validator(mode="after")
    def _the_network_has_such_weights(self) -> "ExperimentParams":
        known = NETWORK_WEIGHTS[self.network]
        if self.weights not in known:
            raise ValueError(f"network {self.network!r} has weights: {', '.join(known)} only")
        return self

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
