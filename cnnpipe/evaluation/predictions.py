"""What a network said of each sample: the lines of predictions.jsonl."""

import msgspec

from cnnpipe.geometry.boxes import Box

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.jsonl"  # of test
VAL_PREDICTIONS_FILE = "predictions_val.jsonl"
COCO_TRUTH_FILE = "truth.coco.json"  # of test
COCO_PREDICTIONS_FILE = "predictions.coco.json"


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Truth and scores of one sample of a classifier."""

    image_id: str
    region: int | None  # None: the whole picture
    group: str  # the bootstrap draws groups
    label: str  # truth
    scores: dict[str, float]  # by class, in [0, 1], sum 1


class ValuePrediction(msgspec.Struct, frozen=True, kw_only=True):
    """Truth and prediction of one sample of a regressor, in the unit of the attribute."""

    image_id: str
    region: int | None  # None: the whole picture
    group: str  # the bootstrap draws groups
    truth: float
    value: float


class TrueObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object as it was annotated."""

    region: int
    label: str
    box: Box  # xyxy, pixels of the picture


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """A box that a detector found."""

    label: str
    score: float  # in [0, 1]
    box: Box  # xyxy, pixels of the picture, inside it


class DetectPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """Truth and detections of one picture."""

    image_id: str
    group: str
    width: int  # pixels
    height: int
    objects: list[TrueObject]
    detections: list[Detection]  # the best score first, down to the score floor of the experiment
