"""A trained classifier, read from its bundle, and its scores.

Legend: N samples, K classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.datasets.classification import evaluation_loader
from cnnpipe.datasets.packs import open_view
from cnnpipe.errors import DataError, ModelError, ParamsError
from cnnpipe.inference.forward import forward_batches, softmax
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec
from cnnpipe.models.networks import build_network
from cnnpipe.models.shape import NetworkShape
from cnnpipe.models.weights import read_weights
from cnnpipe.params.network_options import NetworkOptions

_BATCH_SIZE = 64


@dataclass(frozen=True)
class Classifier:
    """A trained network and everything about it."""

    spec: ModelSpec
    network: nn.Module  # on the CPU, in evaluation mode


def load_classifier(folder: Path) -> Classifier:
    """Return the classifier whose model.json and weights.safetensors are in `folder`.

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
    return Classifier(spec=spec, network=network.to(memory_format=torch.channels_last).eval())


def predict_view(classifier: Classifier, view: Path, split: Split) -> npt.NDArray[np.float64]:
    """Return the scores of every sample of a split, in the order of the view's samples.jsonl.

    Runs on one thread of the CPU, so that every machine finds the same numbers.

    Args:
        classifier: the network may have been trained on another view.
        view: folder of a classification view.
        split: train without augmentation, val or test.

    Returns:
        scores_NK in [0, 1], float64; rows sum to 1; N may be 0.

    Raises:
        DataError: the view is missing or damaged.
    """
    spec = classifier.spec
    loader = evaluation_loader(
        open_view(view),
        preprocess_of(spec.preprocessing),
        split=split,
        batch_size=_BATCH_SIZE,
        num_workers=0,
    )
    with repeatable_torch(num_threads=1):
        logits_NK, _ = forward_batches(
            classifier.network, loader, normalise_of(spec.preprocessing), device=torch.device("cpu")
        )
    return softmax(logits_NK.reshape(-1, len(spec.classes)))


def _shape_of(spec: ModelSpec) -> NetworkShape:
    return NetworkShape(
        num_classes=len(spec.classes),
        channels=spec.preprocessing.channels,
        side_px=spec.preprocessing.side_px,
        dropout=spec.dropout,
        options=NetworkOptions.model_validate(spec.options),
    )
