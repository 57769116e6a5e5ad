"""A training as its task prepares it, and what all tasks prepare alike."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils.data import DataLoader

from cnnpipe.augmentation.preprocess import to_channels
from cnnpipe.datasets.loading import Draw, Order, batch_sizes, batches_of_epoch, epoch_loader, pinned
from cnnpipe.datasets.normalisation import channel_statistics
from cnnpipe.datasets.orders import shuffled
from cnnpipe.datasets.packs import AnySample, OpenView
from cnnpipe.datasets.records import View
from cnnpipe.errors import DataError
from cnnpipe.models.building import FirstWeights
from cnnpipe.models.bundle import ModelSpec, Preprocessing
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights_file import load_first_weights
from cnnpipe.models.weights_hub import load_hub_weights
from cnnpipe.params.experiment import (
    ClassifyParams,
    ExperimentParams,
    InputParams,
    RegressParams,
    TrainParams,
)
from cnnpipe.params.network_options import NetworkOptions
from cnnpipe.seeding import seed_of
from cnnpipe.shares import own_share
from cnnpipe.training.devices import uses_cuda
from cnnpipe.training.fit import FitData
from cnnpipe.training.growing import FirstNetwork
from cnnpipe.training.objective import AnyBatch, Objective

Shape = TypeVar("Shape")
PictureParams = ClassifyParams | RegressParams  # of networks that say something of a whole picture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """All that decides one training beside params."""

    view: View
    view_file: Path
    first_network: FirstNetwork
    data: Callable[[], FitData[Any]]
    spec: Callable[[Mapping[str, Tensor], str], ModelSpec]  # best weights and the SHA-256 of their file


def first_network(build: Callable[..., nn.Module], shape: Shape, params: ExperimentParams) -> nn.Module:
    """Return the network of params with its first weights.

    Args:
        build: `build_network` or `build_detector`.
        shape: what it is built by.
        params: its name, where its weights come from, and its seed.

    Raises:
        ParamsError: the network or its weights are not to be had, or the input's size does not fit.
        ModelError: the file of the weights is missing, damaged or another one.
        StorageError: the hub that has the weights cannot be reached.
    """
    weights: FirstWeights = "package" if params.weights == "package" else "none"
    network = build(params.network, shape, weights=weights, seed=seed_of(params.seed, "weights"))
    if params.weights_file is not None:
        path = Path(params.weights_file.file)  # a relative one is of the project's root, where cnnpipe runs
        load_first_weights(network, params.network, path, sha256=params.weights_file.sha256)
    if params.weights_hub is not None:
        hub = params.weights_hub
        load_hub_weights(network, params.network, hub.name, sha256=hub.sha256)
    return network


def network_shape(params: PictureParams, *, num_outputs: int) -> NetworkShape:
    """Return what a network of params is built by that says so many numbers of a picture."""
    return NetworkShape(
        num_classes=num_outputs,
        channels=params.input.channels,
        side_px=params.input.side_px,
        dropout=params.dropout,
        options=params.options or NetworkOptions(),
    )


def preprocessing_of(opened: OpenView[AnySample], params: InputParams) -> Preprocessing:
    """Return how pictures of the view become what the network sees; a view of less detail is told.

    Raises:
        DataError: mean and standard deviation are to be those of train, and it has no picture.
    """
    if opened.view.max_side_px < params.side_px:
        log.warning(
            "input.side_px is %d, but the view was made with max_side_px %d: larger pictures lost detail",
            *(params.side_px, opened.view.max_side_px),
        )
    mean, std = _mean_and_std(opened, params)
    return Preprocessing(side_px=params.side_px, channels=params.channels, fit=params.fit, mean=mean, std=std)


def fit_data(  # noqa: PLR0913 (what the tasks differ in)
    opened: OpenView[AnySample],
    params: ExperimentParams,
    machine: TrainParams,
    *,
    make_batch: Callable[[Sequence[Draw]], AnyBatch],
    val: DataLoader[AnyBatch],
    objective: Objective[AnyBatch],
    order: Order = shuffled,
) -> FitData[AnyBatch]:
    """Return what a network learns from: the share of this process of the batches of train, and val.

    Args:
        opened: the view.
        params: size of the batches, and seed of their order and of the augmentation.
        machine: processes that read ahead, and whether batches go to a GPU.
        make_batch: from draws to what is trained on.
        val: its batches, not augmented.
        objective: what the training makes small, and how val is judged.
        order: positions of train, seed and epoch -> the positions of an epoch in their order.
    """
    loader = epoch_loader(
        opened,
        make_batch,
        batch_size=params.batch_size,
        seed=params.seed,
        num_workers=machine.num_workers,
        order=order,
        share=own_share(),
    )
    is_on_gpu = uses_cuda(machine.device)
    return FitData(
        train=partial(batches_of_epoch, pinned(loader, is_wanted=is_on_gpu)),
        batch_sizes=batch_sizes(loader),
        val=pinned(val, is_wanted=is_on_gpu),
        objective=objective,
    )


def refuse_unlearnable(view: View, labels_in_train: Iterable[str], *, where: str) -> None:
    """Check that every class can be learned and that there is something to choose the best epoch by.

    Args:
        view: with its classes and sizes.
        labels_in_train: of every object or picture of train.
        where: folder of the view, for the error.

    Raises:
        DataError: a class has nothing in train, or val is empty.
    """
    in_train = Counter(labels_in_train)
    if absent := [label for label in view.classes if not in_train[label]]:
        what = f"no picture to train on for class: {', '.join(absent)}"
        raise DataError(where, what, "annotate more of it, or pin some of its pictures to train")
    if not view.num_samples.get("val"):
        fix = "annotate more pictures, raise split.val_fraction, or pin some to val"
        raise DataError(where, "no picture in val to choose the best epoch by", fix)


def _mean_and_std(opened: OpenView[AnySample], params: InputParams) -> tuple[list[float], list[float]]:
    """Return what pictures are normalised by, per channel, of values in [0, 1].

    Source of ImageNet's numbers: torchvision, `ImageClassification`; for grey, their means.
    """
    match params.normalisation, params.channels:
        case "dataset", channels:
            return channel_statistics(opened, partial(to_channels, channels=channels))
        case "imagenet", 3:
            return [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        case "imagenet", _:
            return [0.449], [0.226]
        case _, channels:
            return [0.5] * channels, [0.5] * channels
