"""A trained detector, read from its bundle, and the boxes it finds.

Legend: N boxes, B pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.datasets.packs import open_detect_view, picture_at, positions_of
from cnnpipe.datasets.records import DetectSample
from cnnpipe.errors import DataError, ModelError, ParamsError
from cnnpipe.geometry.placement import off_square, place
from cnnpipe.inference.forward import to_network
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec, Preprocessing
from cnnpipe.models.detectors import Boxes, DetectorShape, build_detector
from cnnpipe.models.weights import read_weights

_BATCH_SIZE: Final = 16


@dataclass(frozen=True)
class Detector:
    """A trained network and everything about it."""

    spec: ModelSpec
    network: nn.Module  # on the CPU, in evaluation mode


class Found(NamedTuple):
    """What a detector found in one picture, the best score first."""

    boxes_N4: npt.NDArray[np.float64]  # xyxy, pixels of the picture, inside it, of positive area
    scores_N: npt.NDArray[np.float64]  # in [0, 1]
    class_index_N: npt.NDArray[np.int64]


def load_detector(folder: Path) -> Detector:
    """Return the detector whose model.json and weights.safetensors are in `folder`.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    path = folder / MODEL_FILE
    try:
        spec = files.read_json(path, ModelSpec)
        network = build_detector(spec.network, shape_of(spec), weights="none", seed=0)
    except (DataError, ParamsError) as error:
        fix = "restore the folder (dvc checkout), or train again"
        raise ModelError(str(path), error.what, fix) from error
    read_weights(folder / WEIGHTS_FILE, network, sha256=spec.weights_sha256)
    return as_detector(spec, network)


def as_detector(spec: ModelSpec, network: nn.Module) -> Detector:
    """Return network and spec ready to find boxes: in evaluation mode, channels last (see `to_network`)."""
    return Detector(spec=spec, network=network.to(memory_format=torch.channels_last).eval())


def detect_pictures(detector: Detector, pictures: Sequence[Picture]) -> list[Found]:
    """Return what is found in each picture, in one forward pass.

    Runs on one thread of the CPU, so that every machine finds the same numbers.

    Args:
        detector: of any classes.
        pictures: HWC uint8 of any sizes, RGB or one channel.
    """
    if not pictures:
        return []
    preprocessing = detector.spec.preprocessing
    squares_BSSC = np.stack([preprocess_of(preprocessing)(picture) for picture in pictures])
    pictures_BCSS = torch.from_numpy(squares_BSSC).permute(0, 3, 1, 2)
    with repeatable_torch(num_threads=1), torch.inference_mode():
        seen = to_network(pictures_BCSS, normalise_of(preprocessing), device=torch.device("cpu"))
        found = detector.network(seen)
    return [_on_picture(*pair, preprocessing) for pair in zip(found, pictures, strict=True)]


def detect_view(detector: Detector, view: Path, split: Split) -> list[Found]:
    """Return what is found in the originals of a split, in the order of the view's samples.jsonl.

    Args:
        detector: may have been trained on another view.
        view: folder of a detection view.
        split: train without its copies, val or test.

    Returns:
        Per picture, boxes in pixels of the picture as it was annotated, not as it was packed.

    Raises:
        DataError: the view is missing or damaged.
    """
    opened = open_detect_view(view)
    positions = [at for at in positions_of(opened, split) if opened.samples[at].copy == 0]
    found: list[Found] = []
    for start in range(0, len(positions), _BATCH_SIZE):
        batch = positions[start : start + _BATCH_SIZE]
        in_packed = detect_pictures(detector, [picture_at(opened, at) for at in batch])
        samples = (opened.samples[at] for at in batch)
        found += [_on_original(*pair) for pair in zip(in_packed, samples, strict=True)]
    return found


def shape_of(spec: ModelSpec) -> DetectorShape:
    """Return what the network of a spec is built by.

    Raises:
        ParamsError: it is not the spec of a detector.
    """
    if spec.task != "detect" or spec.decoding is None:
        raise ParamsError("task", f"the model is of task {spec.task}, not detect", "choose a detector")
    return DetectorShape(
        num_classes=len(spec.classes),
        channels=spec.preprocessing.channels,
        side_px=spec.preprocessing.side_px,
        decoding=spec.decoding,
    )


def _on_picture(on_square: Boxes, picture: Picture, preprocessing: Preprocessing) -> Found:
    placement = place(
        picture.shape[1], picture.shape[0], side_px=preprocessing.side_px, fit=preprocessing.fit
    )
    boxes_N4 = off_square(on_square[0].double().numpy(), placement)
    has_area_N = (boxes_N4[:, 2:] > boxes_N4[:, :2]).all(axis=1)  # not wholly in the margin
    scores_N, class_index_N = (_numbers(each)[has_area_N] for each in on_square[1:])
    return Found(boxes_N4[has_area_N], scores_N.astype(np.float64), class_index_N.astype(np.int64))


def _on_original(found: Found, sample: DetectSample) -> Found:
    packed, original = (
        np.array([width, height, width, height], dtype=np.float64)
        for width, height in (
            (sample.width, sample.height),
            (sample.original_width, sample.original_height),
        )
    )
    return found._replace(boxes_N4=found.boxes_N4 / packed * original)


def _numbers(tensor: Tensor) -> npt.NDArray[np.generic]:
    return np.asarray(tensor.numpy())
