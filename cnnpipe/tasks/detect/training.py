"""What `train` needs of task `detect`: pictures and their boxes, a detector, its losses and thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from torch import Tensor

from cnnpipe import files
from cnnpipe.augmentation.boxes import build_box_augmentation
from cnnpipe.datasets.detection import (
    DetectBatch,
    boxes_of,
    detect_batch_maker,
    detect_evaluation_loader,
)
from cnnpipe.datasets.packs import OpenView, open_detect_view
from cnnpipe.datasets.records import VIEW_FILE, DetectSample
from cnnpipe.errors import DataError
from cnnpipe.evaluation.detection import Judged, best_f1_thresholds, coco_numbers
from cnnpipe.geometry.placement import onto_square, place
from cnnpipe.inference.detector import Detector, Found, as_detector, detect_view, shape_of
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.models.bundle import Decoding, ModelSpec, Preprocessing
from cnnpipe.models.detectors import DetectorShape, build_detector
from cnnpipe.params.experiment import DetectParams, InputParams, TrainParams
from cnnpipe.training.detection import detection_objective
from cnnpipe.training.fit import FitData
from cnnpipe.training.job import Job, first_network, fit_data, preprocessing_of, refuse_unlearnable


@dataclass(frozen=True)
class _Prepared:
    view: Path
    opened: OpenView[DetectSample]
    preprocessing: Preprocessing
    params: DetectParams
    machine: TrainParams


def prepare(view: Path, params: DetectParams, machine: TrainParams) -> Job:
    """Return the training of a detector on the view in folder `view`.

    Raises:
        DataError: the view is missing or damaged, or there is nothing in it to learn or to choose by.
    """
    opened = open_detect_view(view)
    _refuse_unlearnable(opened, where=str(view))
    _refuse_unwatchable(opened, params, where=str(view))
    prepared = _Prepared(view, opened, preprocessing_of(opened, params.input), params, machine)
    shape = DetectorShape(
        num_classes=len(opened.view.classes),
        channels=params.input.channels,
        side_px=params.input.side_px,
        decoding=_decoding(params),
    )
    return Job(
        view=opened.view,
        view_file=view / VIEW_FILE,
        first_network=partial(first_network, build_detector, shape),
        data=partial(_data, prepared),
        spec=partial(_spec, prepared),
    )


def _refuse_unlearnable(opened: OpenView[DetectSample], *, where: str) -> None:
    classes = opened.view.classes
    if not classes:
        fix = "annotate objects, or lower augment.detect.min_box_side_px"
        raise DataError(where, "holds no object", fix)
    in_train = (
        classes[index] for sample in opened.samples if sample.split == "train" for index in sample.class_index
    )
    refuse_unlearnable(opened.view, in_train, where=where)
    if not any(sample.boxes for sample in opened.samples if sample.split == "val"):
        fix = "annotate more pictures, raise split.val_fraction, or pin some with objects to val"
        raise DataError(where, "no object in val to choose the best epoch by", fix)


def _refuse_unwatchable(opened: OpenView[DetectSample], params: DetectParams, *, where: str) -> None:
    """Check that val has what the watched metric counts, e.g. objects small on the network's square."""
    in_val = [sample for sample in opened.samples if sample.split == "val" and sample.copy == 0]
    perfect = [_found_whole(sample, params.input) for sample in in_val]
    known = ["loss", *coco_numbers(perfect, num_classes=len(opened.view.classes))]
    if params.watch not in known:
        what = f"val has no object that {params.watch} counts, on a square of {params.input.side_px} px"
        raise DataError(where, what, f"watch one of: {', '.join(known)}")


def _found_whole(sample: DetectSample, params: InputParams) -> Judged:
    """Return a picture in which every object is found, on the network's square."""
    placement = place(sample.width, sample.height, side_px=params.side_px, fit=params.fit)
    boxes_N4 = onto_square(boxes_of(sample), placement)
    class_N = np.array(sample.class_index, dtype=np.int64)
    return Judged(boxes_N4, class_N, boxes_N4, np.ones(len(class_N)), class_N)


def _decoding(params: DetectParams) -> Decoding:
    return Decoding(**params.decoding.model_dump())


def _data(prepared: _Prepared) -> FitData[DetectBatch]:
    params, preprocessing = prepared.params, prepared.preprocessing
    augment = build_box_augmentation(
        params.augmentation,
        side_px=params.input.side_px,
        channels=params.input.channels,
        fit=params.input.fit,
    )
    val = detect_evaluation_loader(
        prepared.opened,
        preprocess_of(preprocessing),
        fit=preprocessing.fit,
        split="val",
        batch_size=params.batch_size,
        num_workers=prepared.machine.num_workers,
    )
    num_classes = len(prepared.opened.view.classes)
    objective = detection_objective(normalise_of(preprocessing), num_classes=num_classes, watch=params.watch)
    make_batch = detect_batch_maker(prepared.opened, augment)
    return fit_data(
        prepared.opened, params, prepared.machine, make_batch=make_batch, val=val, objective=objective
    )


def _spec(prepared: _Prepared, best_state: Mapping[str, Tensor], weights_sha256: str) -> ModelSpec:
    """Return model.json, with the threshold of best F1 on val for each class."""
    view = prepared.opened.view
    spec = ModelSpec(
        task="detect",
        network=prepared.params.network,
        dropout=0.0,
        classes=view.classes,
        preprocessing=prepared.preprocessing,
        decoder="boxes",
        decoding=_decoding(prepared.params),
        source=view.source,
        label_attribute=view.label_attribute,
        data_sha256=files.sha256_of_file(prepared.view / VIEW_FILE),
        weights_sha256=weights_sha256,
    )
    network = build_detector(spec.network, shape_of(spec), weights="none", seed=0)
    network.load_state_dict(best_state)
    thresholds = _thresholds(prepared, as_detector(spec, network))
    return msgspec.structs.replace(spec, thresholds=dict(zip(view.classes, thresholds, strict=True)))


def _thresholds(prepared: _Prepared, detector: Detector) -> list[float]:
    in_val = [sample for sample in prepared.opened.samples if sample.split == "val" and sample.copy == 0]
    found = detect_view(detector, prepared.view, "val")
    pictures = [_judged(*pair) for pair in zip(in_val, found, strict=True)]
    return best_f1_thresholds(pictures, num_classes=len(prepared.opened.view.classes))


def _judged(sample: DetectSample, found: Found) -> Judged:
    """Return truth and detections of a picture, in its own pixels, as `evaluate` sees them."""
    x, y = sample.original_width / sample.width, sample.original_height / sample.height
    return Judged(
        truth_boxes_N4=boxes_of(sample) * np.array([x, y, x, y]),
        truth_class_N=np.array(sample.class_index, dtype=np.int64),
        boxes_M4=found.boxes_N4,
        scores_M=found.scores_N,
        class_M=found.class_index_N,
    )
