"""A network that says one thing of a picture, read from its bundle: a classifier's, or a regressor's."""

from pathlib import Path

import torch
from torch import nn

from cnnpipe import files
from cnnpipe.errors import DataError, ModelError, ParamsError
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights import read_weights
from cnnpipe.params.network_options import NetworkOptions


def load_picture_network(folder: Path) -> tuple[ModelSpec, nn.Module]:
    """Return spec and network of the bundle in `folder`, on the CPU and in evaluation mode.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    try:
        spec = files.read_json(folder / MODEL_FILE, ModelSpec)
        network = build_network(spec.network, _shape_of(spec), weights="none", seed=0)
    except (DataError, ParamsError) as error:
        fix = "restore the folder (dvc checkout), or train again"
        raise ModelError(str(folder / MODEL_FILE), error.what, fix) from error
    read_weights(folder / WEIGHTS_FILE, network, sha256=spec.weights_sha256)
    # channels last: see to_network
    return spec, network.to(memory_format=torch.channels_last).eval()


def _shape_of(spec: ModelSpec) -> NetworkShape:
    return NetworkShape(
        num_classes=spec.num_outputs,
        channels=spec.preprocessing.channels,
        side_px=spec.preprocessing.side_px,
        dropout=spec.dropout,
        options=NetworkOptions.model_validate(spec.options),
    )
