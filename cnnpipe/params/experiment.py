"""Sections `experiments.<name>` and `train`: what is trained, and on what machine."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from cnnpipe.errors import ParamsError
from cnnpipe.params.load import did_you_mean, load_section, load_value
from cnnpipe.params.section import Count, Params, Probability

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

# Network -> where its first weights can come from, by task; each also takes those of a file. The builders are
# in models/; the names stand here too, so that params are checked without importing torch.
NETWORK_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"lenet": ("none",), "lite0": ("none", "package"), "resnet18": ("none",)}
)
DETECTOR_WEIGHTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "fcos-lite0": ("none", "package"),
        "fasterrcnn-lite0": ("none", "package"),
        "fasterrcnn_mobilenet_v3_large_320_fpn": ("none",),
    }
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


class DetectAugmentationParams(AugmentationParams):
    """The same for a picture with boxes."""

    min_visible_fraction: (
        Probability  # of a box's area that a crop or shift must leave; less: the box is lost
    )


class WeightsFileParams(Params):
    """First weights from a file of yours: a state dict as .safetensors, .pt or .pth."""

    file: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # so that other weights are other params


class TransferParams(Params):
    """What becomes of weights that were trained elsewhere, below the new head."""

    backbone_rate: Annotated[float, Field(gt=0.0, le=1.0)]  # learning rate there, as a share of the head's
    frozen_epochs: Annotated[int, Field(ge=0)]  # at the start, in which only the head learns
    batch_norm: Literal["train", "frozen"]  # frozen: its statistics, scales and shifts stay as they came


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


class _Recipe(Params):
    """What every experiment has, whatever its task."""

    network: str
    weights: Literal["none", "package", "file"]
    weights_file: WeightsFileParams | None = None  # written where weights is file
    seed: int
    input: InputParams
    transfer: TransferParams | None  # null: the whole network learns at one rate
    epochs: Count
    batch_size: Count
    optimiser: Annotated[SgdParams | AdamParams, Field(discriminator="name")]
    schedule: ScheduleParams
    early_stopping: EarlyStoppingParams | None

    @model_validator(mode="after")
    def _the_file_is_named_when_needed(self) -> Self:
        if (self.weights == "file") != (self.weights_file is not None):
            raise ValueError("weights_file is set exactly when weights is 'file'")
        return self

    @model_validator(mode="after")
    def _warm_up_ends_before_training(self) -> Self:
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be below epochs")
        return self

    @model_validator(mode="after")
    def _the_backbone_thaws_before_the_end(self) -> Self:
        if self.transfer is not None and self.transfer.frozen_epochs >= self.epochs:
            raise ValueError("transfer.frozen_epochs must be below epochs")
        return self


class ClassifyParams(_Recipe):
    """An experiment of task `classify`."""

    task: Literal["classify"]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    augmentation: AugmentationParams
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)]
    watch: Literal["accuracy", "f1_macro", "loss"]

    @model_validator(mode="after")
    def _the_network_is_known(self) -> Self:
        _check_network(self.network, self.weights, NETWORK_WEIGHTS)
        return self


class DecodingParams(Params):
    """From a detector's raw boxes to detections."""

    score_floor: Annotated[float, Field(ge=0.0, lt=1.0)]  # lower scores are dropped
    nms_iou: Annotated[float, Field(gt=0.0, le=1.0)]  # of two of a class that overlap more, the better stays
    max_detections: Annotated[int, Field(ge=1, le=1000)]  # per picture


class DetectParams(_Recipe):
    """An experiment of task `detect`."""

    task: Literal["detect"]
    augmentation: DetectAugmentationParams
    decoding: DecodingParams
    watch: Literal["map_50", "map_50_95", "loss"]

    @model_validator(mode="after")
    def _the_network_is_known(self) -> Self:
        _check_network(self.network, self.weights, DETECTOR_WEIGHTS)
        return self


ExperimentParams = ClassifyParams | DetectParams


EXPERIMENT_KINDS: Final[Mapping[str, type[ClassifyParams] | type[DetectParams]]] = MappingProxyType(
    {"classify": ClassifyParams, "detect": DetectParams}
)


class TrainParams(Params):
    """Section `train`: the machine. The numbers of threads change the last digits of results."""

    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]  # auto: what the device is fast in
    num_threads: Count
    num_workers: Annotated[int, Field(ge=0, le=64)]


def load_experiment(path: Path, name: str) -> ExperimentParams:
    """Return section `experiments.<name>` of params.yaml, of the kind that its task asks for.

    Raises:
        ParamsError: the file, the experiment or a value in it is wrong; all faults are named.
    """
    section = f"experiments.{name}"
    value = load_value(path, section)
    task = str(value.get("task")) if isinstance(value, dict) else ""
    if task not in EXPERIMENT_KINDS:
        fix = f"{did_you_mean(task, EXPERIMENT_KINDS)}the tasks are: {', '.join(EXPERIMENT_KINDS)}"
        raise ParamsError(str(path), f"{section}.task is {task!r}", fix)
    return load_section(path, section, EXPERIMENT_KINDS[task])


def _check_network(name: str, weights: str, known: Mapping[str, tuple[str, ...]]) -> None:
    if name not in known:
        hint = f"{did_you_mean(name, known)}the networks are: {', '.join(known)}"
        raise ValueError(f"network {name!r} is not known for this task; {hint}")
    if weights not in (*known[name], "file"):
        raise ValueError(f"network {name!r} has weights: {', '.join(known[name])}, or those of a file")
