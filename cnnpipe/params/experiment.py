"""Sections `experiments.<name>` and `train`: what is trained, and on what machine."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from cnnpipe.errors import ParamsError
from cnnpipe.params.augmentation import DetectAugmentationParams, MixParams, PictureAugmentationParams
from cnnpipe.params.layer_sizes import layer_sizes, read_as
from cnnpipe.params.load import did_you_mean, load_section, load_value
from cnnpipe.params.losses import (
    ClassifyLossParams,
    DistillationParams,
    HingeParams,
    PenaltyParams,
    RegressLossParams,
)
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.params.networks import (
    DETECTOR_WEIGHTS,
    NETWORK_WEIGHTS,
    growth_fault,
    is_of_timm,
    option_fault,
    side_fault,
)
from cnnpipe.params.optimisers import OneCycleParams, OptimiserParams, ScheduleParams
from cnnpipe.params.section import Count, Fraction, NotNegative, Params, Positive
from cnnpipe.params.watching import (
    CLASSIFY_METRICS,
    CLASSIFY_METRICS_OF_A_CLASS,
    DETECT_METRICS,
    check_watched,
)

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class InputParams(Params):
    """What the network sees."""

    side_px: Annotated[int, Field(ge=8, le=1024)]
    channels: Literal[1, 3]
    fit: Literal["letterbox", "stretch"]
    normalisation: Literal["half", "imagenet", "dataset"]


class WeightsFileParams(Params):
    """First weights from a file of yours: a state dict as .safetensors, .pt or .pth."""

    file: str
    sha256: _Sha256  # so that other weights are other params


class WeightsRunParams(Params):
    """First weights from a training that MLflow's store holds."""

    run_id: str
    sha256: _Sha256


class WeightsHubParams(Params):
    """First weights from a hub, by name: fetched once, and kept by the hub's own library."""

    name: str  # as `timm` names pretrained weights, e.g. resnet18.a1_in1k
    sha256: _Sha256 | None = None  # of the hub's file, so that other weights are refused


class PartParams(Params):
    """How a part of the backbone learns, where it is not as the rest."""

    tensors: Annotated[list[str], Field(min_length=1)]  # how the names of its tensors begin
    rate: Annotated[float, Field(ge=0.0, le=1.0)]  # learning rate, as a share of the head's; 0: never learns
    frozen_epochs: Annotated[int, Field(ge=0)]


class TransferParams(Params):
    """What becomes of weights that were trained elsewhere, below the new head."""

    backbone_rate: Annotated[float, Field(gt=0.0, le=1.0)]  # learning rate there, as a share of the head's
    frozen_epochs: Annotated[int, Field(ge=0)]  # at the start, in which only the head learns
    batch_norm: Literal["train", "frozen"]  # frozen: its statistics, scales and shifts stay as they came
    parts: list[PartParams] | None = None  # the first that fits a tensor decides; the rest is as above


class EarlyStoppingParams(Params):
    """Stop when the watched metric of val has not grown by `min_delta` for `patience_epochs`."""

    patience_epochs: Count
    min_delta: NotNegative


class StopParams(Params):
    """Further ends of a training, beside `epochs` and `early_stopping`: the first that holds."""

    loss_below: Positive | None = None  # mean loss of train over an epoch
    steps: Count | None = None
    minutes: Positive | None = None  # of the clock, over all starts of it: the result is then the machine's


class EmaParams(Params):
    """A moving average of the weights, which val judges and the bundle holds."""

    decay: Annotated[float, Field(gt=0.0, lt=1.0)]  # per step


class DivergenceParams(Params):
    """A loss that is NaN or infinite: go back to the last checkpoint and on with a smaller rate."""

    rate_factor: Annotated[float, Field(gt=0.0, lt=1.0)]
    times: Count  # how often at most


class _Recipe(Params):
    """What every experiment has, whatever its task."""

    network: str
    weights: Literal["none", "package", "file", "run", "hub"]
    weights_file: WeightsFileParams | None = None  # written where weights is file
    weights_run: WeightsRunParams | None = None  # where it is run
    weights_hub: WeightsHubParams | None = None  # where it is hub
    seed: int
    input: InputParams
    transfer: TransferParams | None  # null: the whole network learns at one rate
    epochs: Count
    batch_size: Count  # pictures per step, of all processes together
    accumulation: Count = 1  # parts that a batch is computed in, for the memory's sake
    optimiser: OptimiserParams
    schedule: ScheduleParams
    clip_norm: Positive | None = None  # largest length of the gradient of all weights together
    penalties: PenaltyParams | None = None
    ema: EmaParams | None = None
    early_stopping: EarlyStoppingParams | None
    stop: StopParams | None = None
    on_divergence: DivergenceParams | None = None  # left out: stop

    @model_validator(mode="after")
    def _the_weights_are_named_when_needed(self) -> Self:
        for kind in ("file", "run", "hub"):
            if (self.weights == kind) != (getattr(self, f"weights_{kind}") is not None):
                raise ValueError(f"weights_{kind} is set exactly when weights is {kind!r}")
        return self

    @model_validator(mode="after")
    def _warm_up_ends_before_training(self) -> Self:
        if isinstance(self.schedule, OneCycleParams):
            return self
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be below epochs")
        return self

    @model_validator(mode="after")
    def _the_backbone_thaws_before_the_end(self) -> Self:
        if self.transfer is not None and self.transfer.frozen_epochs >= self.epochs:
            raise ValueError("transfer.frozen_epochs must be below epochs")
        for part in (self.transfer and self.transfer.parts) or []:
            if part.frozen_epochs >= self.epochs:
                fix = "must be below epochs (a part with rate 0.0 never learns)"
                raise ValueError(f"transfer.parts: frozen_epochs of {part.tensors[0]!r} {fix}")
        return self

    @model_validator(mode="after")
    def _a_batch_has_enough_for_its_parts(self) -> Self:
        if self.accumulation > self.batch_size:
            raise ValueError("accumulation must be at most batch_size")
        return self


class GrowthParams(Params):
    """A shallower network that is trained first: its layers become the next one's."""

    network: str
    epochs: Count
    then_frozen_epochs: Annotated[int, Field(ge=0)]  # of the next network, in which what was copied stays


class _PictureRecipe(_Recipe):
    """What networks have that say one thing of a picture."""

    dropout: Fraction
    options: NetworkOptions | None = None
    growth: Annotated[list[GrowthParams], Field(min_length=1)] | None = None  # shallowest first
    augmentation: PictureAugmentationParams

    @model_validator(mode="after")
    def _the_network_is_known(self) -> Self:
        of_timm = {self.network: ("none",)} if is_of_timm(self.network) else {}
        _check_network(self.network, self.weights, {**NETWORK_WEIGHTS, **of_timm})
        options = self.options or NetworkOptions()
        fault = option_fault(self.network, options) or side_fault(self.network, self.input.side_px)
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _the_layers_of_a_written_network_fit(self) -> Self:
        if self.network == "cnn":
            _check_layers(self.options or NetworkOptions(), self.input)
        return self

    @model_validator(mode="after")
    def _a_growing_network_begins_anew(self) -> Self:
        if self.growth is not None and (self.weights != "none" or self.transfer is not None):
            raise ValueError("with growth, weights must be none and transfer null")
        stages = (*(stage.network for stage in self.growth or []), self.network)
        if len(stages) > 1 and (fault := growth_fault(stages)) is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _what_grows_has_time_to_learn(self) -> Self:
        growth = self.growth or []
        epochs_of_next = [*(each.epochs for each in growth[1:]), self.epochs]
        if any(each.then_frozen_epochs >= after for each, after in zip(growth, epochs_of_next, strict=False)):
            raise ValueError("growth: then_frozen_epochs must be below the epochs of the next network")
        warmup = 0.0 if isinstance(self.schedule, OneCycleParams) else self.schedule.warmup_epochs
        if any(0.0 < warmup >= each.epochs for each in growth):
            raise ValueError("schedule.warmup_epochs must be below the epochs of each network of growth")
        return self

    @model_validator(mode="after")
    def _crops_are_no_larger_than_what_they_are_of(self) -> Self:
        of_px = self.augmentation.crop_from_px
        if of_px is not None and of_px < self.input.side_px:
            raise ValueError("augmentation.crop_from_px must be at least input.side_px")
        return self


class ClassifyParams(_PictureRecipe):
    """An experiment of task `classify`."""

    task: Literal["classify"]
    loss: ClassifyLossParams
    mix: MixParams | None = None
    distillation: DistillationParams | None = None
    sampling: Literal["shuffled", "class_balanced"] = "shuffled"  # balanced: drawn so that classes come alike
    watch: str  # loss, or a metric of val that `evaluate` reports, e.g. accuracy, f1_macro, recall/cat

    @model_validator(mode="after")
    def _the_watched_metric_is_known(self) -> Self:
        check_watched(self.watch, CLASSIFY_METRICS, CLASSIFY_METRICS_OF_A_CLASS)
        return self

    @model_validator(mode="after")
    def _the_loss_takes_mixed_labels(self) -> Self:
        if self.mix is not None and isinstance(self.loss, HingeParams):
            raise ValueError("mix makes soft labels, and loss hinge needs one true class: leave one out")
        return self

    @model_validator(mode="after")
    def _rare_classes_are_raised_once(self) -> Self:
        if self.sampling == "class_balanced" and getattr(self.loss, "class_weights", None) == "balanced":
            raise ValueError("sampling class_balanced and class_weights balanced do the same: leave one out")
        return self


class RegressParams(_PictureRecipe):
    """An experiment of task `regress`."""

    task: Literal["regress"]
    loss: RegressLossParams
    watch: Literal["loss", "mae", "mse", "rmse", "r2"]


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
    watch: str  # loss, or one of COCO's numbers on val, e.g. map_50, map_50_95

    @model_validator(mode="after")
    def _the_watched_metric_is_known(self) -> Self:
        check_watched(self.watch, DETECT_METRICS)
        return self

    @model_validator(mode="after")
    def _the_network_is_known(self) -> Self:
        _check_network(self.network, self.weights, DETECTOR_WEIGHTS)
        return self


ExperimentParams = ClassifyParams | DetectParams | RegressParams


EXPERIMENT_KINDS: Final[Mapping[str, type[ExperimentParams]]] = MappingProxyType(
    {"classify": ClassifyParams, "detect": DetectParams, "regress": RegressParams}
)


class TrainParams(Params):
    """Section `train`: the machine. Threads and processes change the last digits of results."""

    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]  # auto: what the device is fast in
    num_threads: Count
    num_workers: Annotated[int, Field(ge=0, le=64)]
    processes: Annotated[int, Field(ge=1, le=64)] = 1  # that share each batch; on GPUs one for each
    checkpoint_steps: Count | None = None  # steps from one checkpoint to the next, beside that of every epoch
    checkpoint_minutes: Positive | None = None  # the same by the clock


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
    if weights not in (*known[name], "file", "run", "hub"):
        fix = "or those of a file, a run or the hub"
        raise ValueError(f"network {name!r} has weights: {', '.join(known[name])}, {fix}")


def _check_layers(options: NetworkOptions, picture: InputParams) -> None:
    if options.layers is None:
        raise ValueError("network 'cnn' is written in params: list its layers below options.layers")
    first = read_as(channels=picture.channels, side_px=picture.side_px, axes=options.axes or 2)
    try:
        layer_sizes(options.layers, first)
    except ParamsError as error:
        raise ValueError(f"{error.where}: {error.what}; {error.fix}") from error
