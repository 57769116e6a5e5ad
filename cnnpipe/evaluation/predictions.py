"""What a classifier said of each sample: the lines of predictions.jsonl."""

import msgspec

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.jsonl"  # of test
VAL_PREDICTIONS_FILE = "predictions_val.jsonl"


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Truth and scores of one sample."""

    image_id: str
    region: int | None  # None: the whole picture
    group: str  # the bootstrap draws groups
    label: str  # truth
    scores: dict[str, float]  # by class, in [0, 1], sum 1
