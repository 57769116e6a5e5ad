"""The bundle of a trained network: model.json and weights.safetensors are enough to predict."""

from typing import Literal

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


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """model.json: everything about a trained network but its weights. Names no path."""

    format: Literal[1] = 1
    task: Literal["classify"]
    network: str  # key of the literal table of networks
    dropout: float
    classes: list[str]  # in the order of the network's outputs
    preprocessing: Preprocessing
    decoder: Literal["softmax"]  # logits to scores in [0, 1]
    data_sha256: str  # of the view.json it was trained on
    weights_sha256: str
