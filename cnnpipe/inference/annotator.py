"""A bundle of any task as one function: pictures in, what the network says of each out.

Legend: B batch, C channels, H W pixels, K classes, N boxes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import msgspec
import numpy as np
import torch

from cnnpipe import files
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.errors import DataError, ModelError, ParamsError
from cnnpipe.evaluation.predictions import Detection
from cnnpipe.geometry.boxes import Box
from cnnpipe.inference.classifier import Classifier, load_classifier
from cnnpipe.inference.detector import Detector, Found, detect_pictures, load_detector
from cnnpipe.inference.forward import forward_batches, softmax
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.inference.regressor import Regressor, load_regressor, values_of_pictures
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec

_NO_THRESHOLD: Final = 0.5  # of a class for which none was chosen on val
_BOX_DIGITS: Final = 2  # of a pixel; more are noise


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a network says of one picture: a classifier scores, a detector boxes, a regressor a number."""

    scores: dict[str, float] | None = None  # by class, in [0, 1], sum 1
    detections: list[Detection] | None = None  # the best score first
    value: float | None = None  # in the unit of the model's target


@dataclass(frozen=True)
class Annotator:
    """A trained network as a function of pictures."""

    spec: ModelSpec
    annotate: Callable[[Sequence[Picture]], list[Answer]]  # (H, W, C) uint8 each; one batch at a time


def open_annotator(folder: Path, *, threshold: float | None = None) -> Annotator:
    """Return the annotator whose model.json and weights.safetensors are in `folder`.

    Args:
        folder: the bundle.
        threshold: score from which a box counts, of every class; None: those of model.json.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
        ParamsError: the model takes no threshold, or never gives a score so low.
    """
    try:
        spec = files.read_json(folder / MODEL_FILE, ModelSpec)
    except DataError as error:
        fix = "name the folder of a trained model, with model.json and weights.safetensors"
        raise ModelError(str(folder / MODEL_FILE), error.what, fix) from error
    if threshold is not None:
        _check_threshold(spec, threshold)
    return _OPENERS[spec.task](folder, threshold)


def _check_threshold(spec: ModelSpec, threshold: float) -> None:
    if spec.decoding is None:
        fix = "leave the option out: only boxes have a score from which they count"
        raise ParamsError("--threshold", "is for detectors, and this model is none", fix)
    floor = spec.decoding.score_floor
    if threshold < floor:
        what = f"is {threshold}, and the model gives no box of a score below {floor}"
        raise ParamsError("--threshold", what, f"give {floor} or more; experiments.*.decoding has the floor")


def _open_classifier(folder: Path, _threshold: float | None) -> Annotator:
    classifier = load_classifier(folder)
    return Annotator(spec=classifier.spec, annotate=partial(_classify, classifier))


def _open_detector(folder: Path, threshold: float | None) -> Annotator:
    detector = load_detector(folder)
    spec = detector.spec
    chosen = [spec.thresholds.get(label, _NO_THRESHOLD) for label in spec.classes]
    thresholds_K = np.array(chosen if threshold is None else [threshold] * len(chosen))
    return Annotator(spec=spec, annotate=partial(_detect, detector, thresholds_K))


def _open_regressor(folder: Path, _threshold: float | None) -> Annotator:
    regressor = load_regressor(folder)
    return Annotator(spec=regressor.spec, annotate=partial(_regress, regressor))


_OPENERS: Final[
    Mapping[Literal["classify", "detect", "regress"], Callable[[Path, float | None], Annotator]]
] = MappingProxyType({"classify": _open_classifier, "detect": _open_detector, "regress": _open_regressor})


def _classify(classifier: Classifier, pictures: Sequence[Picture]) -> list[Answer]:
    """Judge every picture as a whole: a crop of one object, where objects were learnt."""
    if not pictures:
        return []
    spec = classifier.spec
    preprocess = preprocess_of(spec.preprocessing)
    pictures_BHWC = np.stack([preprocess(picture) for picture in pictures])
    logits_BK, _ = forward_batches(
        classifier.network,
        [(torch.from_numpy(pictures_BHWC).permute(0, 3, 1, 2), torch.zeros(len(pictures)))],
        normalise_of(spec.preprocessing),
        device=torch.device("cpu"),
    )
    scores_BK = softmax(logits_BK).tolist()
    return [Answer(scores=dict(zip(spec.classes, scores_K, strict=True))) for scores_K in scores_BK]


def _regress(regressor: Regressor, pictures: Sequence[Picture]) -> list[Answer]:
    return [Answer(value=value) for value in values_of_pictures(regressor, pictures).tolist()]


def _detect(
    detector: Detector,
    thresholds_K: np.ndarray[tuple[int], np.dtype[np.float64]],
    pictures: Sequence[Picture],
) -> list[Answer]:
    if not pictures:
        return []
    classes = detector.spec.classes
    return [
        Answer(detections=_detections(found, classes, thresholds_K))
        for found in detect_pictures(detector, pictures)
    ]


def _detections(
    found: Found, classes: Sequence[str], thresholds_K: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> list[Detection]:
    boxes_N4 = found.boxes_N4.round(_BOX_DIGITS)
    has_area_N = (boxes_N4[:, 2:] > boxes_N4[:, :2]).all(axis=1)
    counts_N = has_area_N & (found.scores_N >= thresholds_K[found.class_index_N])
    return [
        Detection(
            label=classes[found.class_index_N[n]],
            score=float(found.scores_N[n]),
            box=Box(*boxes_N4[n].tolist()),
        )
        for n in np.flatnonzero(counts_N)
    ]
