"""A trained classifier, read from its bundle, and its scores.

Legend: N samples, K classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cnnpipe.annotations import Split
from cnnpipe.datasets.classification import evaluation_loader
from cnnpipe.datasets.packs import open_view
from cnnpipe.inference.forward import forward_batches, softmax
from cnnpipe.inference.picture_network import load_picture_network
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.bundle import ModelSpec

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
    spec, network = load_picture_network(folder)
    return Classifier(spec=spec, network=network)


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
