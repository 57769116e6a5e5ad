"""What `train` needs of task `regress`: crops and their numbers, a network with one output, the error."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnpipe import files
from cnnpipe.augmentation.policy import build_augmentation
from cnnpipe.datasets.packs import OpenView, open_regress_view
from cnnpipe.datasets.records import VIEW_FILE, RegressSample
from cnnpipe.datasets.regression import RegressBatch, regress_batch_maker, regress_evaluation_loader
from cnnpipe.errors import DataError
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.models.bundle import ModelSpec, Preprocessing, Target
from cnnpipe.models.networks import build_network
from cnnpipe.params.experiment import RegressParams, TrainParams
from cnnpipe.params.networks import auxiliary_weight_of
from cnnpipe.training.fit import FitData
from cnnpipe.training.job import (
    Job,
    first_network,
    fit_data,
    network_shape,
    preprocessing_of,
    refuse_unlearnable,
)
from cnnpipe.training.regression import regression_objective, target_of


@dataclass(frozen=True)
class _Prepared:
    opened: OpenView[RegressSample]
    view_file: Path
    preprocessing: Preprocessing
    target: Target
    params: RegressParams
    machine: TrainParams


def prepare(view: Path, params: RegressParams, machine: TrainParams) -> Job:
    """Return the training of a regressor on the view in folder `view`.

    Raises:
        DataError: the view is missing or damaged, or there is nothing in it to learn or to choose by.
    """
    opened = open_regress_view(view)
    refuse_unlearnable(opened.view, (), where=str(view))
    _refuse_undefined(opened, params, where=str(view))
    in_train = [each.value for each in opened.samples if each.split == "train" and each.copy == 0]
    prepared = _Prepared(
        opened=opened,
        view_file=view / VIEW_FILE,
        preprocessing=preprocessing_of(opened, params.input),
        target=target_of(opened.view.label_attribute, in_train, where=str(view)),
        params=params,
        machine=machine,
    )
    shape = network_shape(params, num_outputs=1)
    return Job(
        view=opened.view,
        view_file=prepared.view_file,
        first_network=partial(first_network, build_network, shape),
        data=partial(_data, prepared),
        spec=partial(_spec, prepared),
    )


def _refuse_undefined(opened: OpenView[RegressSample], params: RegressParams, *, where: str) -> None:
    in_val = {sample.value for sample in opened.samples if sample.split == "val"}
    if params.watch == "r2" and len(in_val) == 1:
        what = f"{opened.view.label_attribute!r} is {in_val.pop():g} all over val, where R² is then undefined"
        raise DataError(where, what, "watch mae, or annotate more pictures")


def _data(prepared: _Prepared) -> FitData[RegressBatch]:
    params = prepared.params
    augment = build_augmentation(
        params.augmentation,
        side_px=params.input.side_px,
        channels=params.input.channels,
        fit=params.input.fit,
    )
    val = regress_evaluation_loader(
        prepared.opened,
        preprocess_of(prepared.preprocessing),
        split="val",
        batch_size=params.batch_size,
        num_workers=prepared.machine.num_workers,
    )
    objective = regression_objective(
        normalise_of(prepared.preprocessing),
        params.loss,
        prepared.target,
        auxiliary_weight=auxiliary_weight_of(params.network, params.options),
    )
    make_batch = regress_batch_maker(prepared.opened, augment)
    return fit_data(
        prepared.opened, params, prepared.machine, make_batch=make_batch, val=val, objective=objective
    )


def _spec(prepared: _Prepared, best_state: Mapping[str, Tensor], weights_sha256: str) -> ModelSpec:
    del best_state  # nothing is chosen by it
    view = prepared.opened.view
    return ModelSpec(
        task="regress",
        network=prepared.params.network,
        dropout=prepared.params.dropout,
        options=_options(prepared.params),
        classes=[],
        preprocessing=prepared.preprocessing,
        decoder="value",
        target=prepared.target,
        source=view.source,
        label_attribute=view.label_attribute,
        data_sha256=files.sha256_of_file(prepared.view_file),
        weights_sha256=weights_sha256,
    )


def _options(params: RegressParams) -> dict[str, Any]:
    return {} if params.options is None else params.options.model_dump(exclude_none=True)
