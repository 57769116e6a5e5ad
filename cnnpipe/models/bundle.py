"""The bundle of a trained network: model.json and weights.safetensors are enough to predict."""

from typing import Any, Literal

import msgspec

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """From a uint8 picture to what the network sees: fit, scale to [0, 1], (x - mean) / std."""

    side_px: int
    channels: int
    fit: Literal["letterbox", "stretch"]
    mean: list[float]  # per channel, of values in [0, 1]
    std: list[float]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The number that a regressor predicts: `mean + std * output`."""

    attribute: str  # of VIA
    mean: float  # of train, in the unit of the attribute
    std: float  # the same, above 0


class Decoding(msgspec.Struct, frozen=True, kw_only=True):
    """From a detector's raw boxes to detections."""

    score_floor: float  # lower scores are dropped
    nms_iou: float  # of two boxes of a class that overlap more, the better stays
    max_detections: int  # per picture


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """model.json: everything about a trained network but its weights. Names no path."""

    format: Literal[1] = 1
    task: Literal["classify", "detect", "regress"]
    network: str  # key of the literal table of networks of its task
    dropout: float
    options: dict[str, Any] = {}  # what was chosen of the network beside its name, as in params.yaml
    classes: list[str]  # in the order of the network's outputs; of task regress there is none
    preprocessing: Preprocessing
    decoder: Literal["softmax", "boxes", "value"]  # softmax: logits to scores in [0, 1]; value: by target
    decoding: Decoding | None = None  # of decoder boxes
    target: Target | None = None  # of decoder value
    thresholds: dict[str, float] = {}  # class -> score from which a box is reported, chosen on val
    source: Literal["objects", "pictures"] = (
        "objects"  # what carried the class or number: regions or whole pictures
    )
    label_attribute: str = "class"  # of VIA, that held it
    data_sha256: str  # of the view.json it was trained on
    weights_sha256: str

    @property
    def num_outputs(self) -> int:
        """How many numbers a classifier or a regressor says of a picture."""
        return len(self.classes) if self.target is None else 1
