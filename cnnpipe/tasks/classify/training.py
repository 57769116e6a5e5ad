"""What `train` needs of task `classify`: crops and their classes, a classifier, its loss, what it watches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnpipe import files
from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.datasets.classification import batch_maker, evaluation_loader, order_of
from cnnpipe.datasets.packs import OpenView, open_view
from cnnpipe.datasets.records import VIEW_FILE, Sample
from cnnpipe.errors import DataError, ParamsError
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.models.bundle import ModelSpec, Preprocessing
from cnnpipe.models.networks import build_network
from cnnpipe.params.experiment import ClassifyParams, TrainParams
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.networks import auxiliary_weight_of
from cnnpipe.training.class_weights import class_weights_of
from cnnpipe.training.classification import Batch, Further, classification_objective, watchable
from cnnpipe.training.distillation import load_teacher
from cnnpipe.training.fit import FitData
from cnnpipe.training.job import (
    Job,
    first_network,
    fit_data,
    network_shape,
    preprocessing_of,
    refuse_unlearnable,
)


@dataclass(frozen=True)
class _Prepared:
    opened: OpenView[Sample]
    view_file: Path
    preprocessing: Preprocessing
    params: ClassifyParams
    machine: TrainParams
    further: Further


def prepare(view: Path, params: ClassifyParams, machine: TrainParams) -> Job:
    """Return the training of a classifier on the view in folder `view`.

    Raises:
        DataError: the view is missing or damaged, or there is nothing in it to learn or to choose by.
        ParamsError: the watched metric or a class weight is of a class that is not there.
        ModelError: the teacher is missing or another one, or knows other classes.
    """
    opened = open_view(view)
    if len(opened.view.classes) < 2:
        what = f"holds {len(opened.view.classes)} class; a classifier needs two"
        raise DataError(str(view), what, "annotate objects of another class, or lower validate.min_side_px")
    in_train = [sample.label for sample in opened.samples if sample.split == "train"]
    refuse_unlearnable(opened.view, in_train, where=str(view))
    _refuse_unwatchable(opened, params.watch, where=str(view))
    prepared = _Prepared(
        opened=opened,
        view_file=view / VIEW_FILE,
        preprocessing=preprocessing_of(opened, params.input),
        params=params,
        machine=machine,
        further=_further(params, opened.view.classes, in_train),
    )
    shape = network_shape(params, num_outputs=len(opened.view.classes))
    return Job(
        view=opened.view,
        view_file=prepared.view_file,
        first_network=partial(first_network, build_network, shape),
        data=partial(_data, prepared),
        spec=partial(_spec, prepared),
    )


def _refuse_unwatchable(opened: OpenView[Sample], watch: str, *, where: str) -> None:
    """Check that val can be judged by the watched metric: its class is there, and has pictures in val."""
    _, slash, label = watch.partition("/")
    if slash and label not in opened.view.classes:
        fix = f"{did_you_mean(label, opened.view.classes)}the classes are: {', '.join(opened.view.classes)}"
        raise ParamsError("params.yaml", f"watch is {watch!r}, which is of no class", fix)
    in_val = [sample.label for sample in opened.samples if sample.split == "val"]
    if watch not in (known := watchable(opened.view.classes, in_val)):
        fix = f"pin pictures of more classes to val, or watch one of: {', '.join(known)}"
        raise DataError(where, f"{watch} is undefined on the pictures of val", fix)


def _further(params: ClassifyParams, classes: Sequence[str], in_train: Iterable[str]) -> Further:
    return Further(
        class_weights=class_weights_of(params.loss, classes, in_train),
        auxiliary_weight=auxiliary_weight_of(params.network, params.options),
        mix=params.mix,
        teacher=None if params.distillation is None else load_teacher(params.distillation, classes),
        watch=params.watch,
        classes=classes,
    )


def _data(prepared: _Prepared) -> FitData[Batch]:
    params = prepared.params
    augment = build_augmentation(
        params.augmentation,
        side_px=params.input.side_px,
        channels=params.input.channels,
        fit=params.input.fit,
    )
    val = evaluation_loader(
        prepared.opened,
        preprocess_of(prepared.preprocessing),
        split="val",
        batch_size=params.batch_size,
        num_workers=prepared.machine.num_workers,
    )
    return fit_data(
        prepared.opened,
        params,
        prepared.machine,
        make_batch=batch_maker(prepared.opened, augment),
        val=val,
        objective=classification_objective(
            normalise_of(prepared.preprocessing), params.loss, prepared.further
        ),
        order=order_of(prepared.opened, params.sampling),
    )


def _spec(prepared: _Prepared, best_state: Mapping[str, Tensor], weights_sha256: str) -> ModelSpec:
    del best_state  # nothing is chosen by it
    view = prepared.opened.view
    return ModelSpec(
        task="classify",
        network=prepared.params.network,
        dropout=prepared.params.dropout,
        options=_options(prepared.params),
        classes=view.classes,
        preprocessing=prepared.preprocessing,
        decoder="softmax",
        source=view.source,
        label_attribute=view.label_attribute,
        data_sha256=files.sha256_of_file(prepared.view_file),
        weights_sha256=weights_sha256,
    )


def _options(params: ClassifyParams) -> dict[str, Any]:
    return {} if params.options is None else params.options.model_dump(exclude_none=True)
