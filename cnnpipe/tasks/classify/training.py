"""What `train` needs of task `classify`: crops and their classes, a classifier, cross entropy."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnpipe import files
from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.datasets.classification import evaluation_loader, training_loader
from cnnpipe.datasets.loading import batches_of_epoch, pinned
from cnnpipe.datasets.packs import OpenView, open_view
from cnnpipe.datasets.records import VIEW_FILE, Sample
from cnnpipe.errors import DataError
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.models.bundle import ModelSpec, Preprocessing
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.params.experiment import ClassifyParams, TrainParams
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.training.classification import Batch, classification_objective
from cnnpipe.training.devices import uses_cuda
from cnnpipe.training.fit import FitData
from cnnpipe.training.job import Job, first_network, preprocessing_of, refuse_unlearnable


@dataclass(frozen=True)
class _Prepared:
    opened: OpenView[Sample]
    view_file: Path
    preprocessing: Preprocessing
    params: ClassifyParams
    machine: TrainParams


def prepare(view: Path, params: ClassifyParams, machine: TrainParams) -> Job:
    """Return the training of a classifier on the view in folder `view`.

    Raises:
        DataError: the view is missing or damaged, or there is nothing in it to learn or to choose by.
    """
    opened = open_view(view)
    if len(opened.view.classes) < 2:
        what = f"holds {len(opened.view.classes)} class; a classifier needs two"
        raise DataError(str(view), what, "annotate objects of another class, or lower validate.min_side_px")
    in_train = (sample.label for sample in opened.samples if sample.split == "train")
    refuse_unlearnable(opened.view, in_train, where=str(view))
    prepared = _Prepared(opened, view / VIEW_FILE, preprocessing_of(opened, params.input), params, machine)
    shape = NetworkShape(
        num_classes=len(opened.view.classes),
        channels=params.input.channels,
        side_px=params.input.side_px,
        dropout=params.dropout,
        options=params.options or NetworkOptions(),
    )
    return Job(
        view=opened.view,
        view_file=prepared.view_file,
        first_network=partial(first_network, build_network, shape, params),
        data=partial(_data, prepared),
        spec=partial(_spec, prepared),
    )


def _data(prepared: _Prepared) -> FitData[Batch]:
    params = prepared.params
    augment = build_augmentation(
        params.augmentation,
        side_px=params.input.side_px,
        channels=params.input.channels,
        fit=params.input.fit,
    )
    loader = training_loader(
        prepared.opened,
        augment,
        batch_size=params.batch_size,
        seed=params.seed,
        num_workers=prepared.machine.num_workers,
    )
    val = evaluation_loader(
        prepared.opened,
        preprocess_of(prepared.preprocessing),
        split="val",
        batch_size=params.batch_size,
        num_workers=prepared.machine.num_workers,
    )
    is_on_gpu = uses_cuda(prepared.machine.device)
    return FitData(
        train=partial(batches_of_epoch, pinned(loader, is_wanted=is_on_gpu)),
        steps_per_epoch=len(loader),
        val=pinned(val, is_wanted=is_on_gpu),
        objective=classification_objective(normalise_of(prepared.preprocessing), params.loss),
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
