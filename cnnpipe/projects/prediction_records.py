"""What `predict` writes: the lines of predictions.jsonl, and run.json, which says what made them."""

import os
from typing import Final, Literal

import msgspec

from cnnpipe.evaluation.predictions import Detection

RUN_FILE: Final = "run.json"
LINES_FILE: Final = "predictions.jsonl"
PART_FILE: Final = "predictions.jsonl.part"  # while pictures are left: every whole line counts
DRAWN_FOLDER: Final = "drawn"
LOCK_FILE: Final = ".predict.lock"


class PicturePrediction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a network said of one picture, or why it was not asked: a line of predictions.jsonl."""

    picture: str  # POSIX path below the root
    width: int | None = None  # pixels, as a viewer shows it
    height: int | None = None
    size_bytes: int | None = None  # of the file; None: there is none
    sha256: str | None = None  # of the file
    error: str | None = None  # then nothing below is there
    label: str | None = None  # of a classifier: the class with the best score
    score: float | None = None
    scores: dict[str, float] | None = None  # by class, in [0, 1], sum 1
    detections: list[Detection] | None = None  # of a detector: the best score first
    value: float | None = None  # of a regressor: in the unit of the attribute it learnt


class PredictModel(msgspec.Struct, frozen=True, kw_only=True):
    """The model that was asked."""

    task: Literal["classify", "detect", "regress"]
    network: str
    weights_sha256: str
    model_sha256: str  # of model.json: classes, preprocessing, thresholds


class PredictSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How it was asked."""

    threshold: float | None  # score from which a box counts; None: those of model.json
    max_pixels: int  # a larger picture is not read
    drawn: bool


class PredictRun(msgspec.Struct, frozen=True, kw_only=True):
    """run.json: what made the predictions beside it; with another model, setting or root nothing goes on."""

    format: Literal[1] = 1
    model: PredictModel
    settings: PredictSettings
    root: str  # the folder that the pictures are named from
    via: dict[str, list[str]] = {}  # VIA project -> sha256 of all that this run has written there


def shown_name(name: str) -> str:
    """Return a path as Unicode, which Linux does not ask of it."""
    return os.fsencode(name).decode(errors="backslashreplace")
