"""A trained regressor, read from its bundle, and the numbers it predicts.

Legend: N samples, B pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cnnpipe.annotations import Split
from cnnpipe.augmentation.preprocess import Picture
from cnnpipe.datasets.packs import open_regress_view
from cnnpipe.datasets.regression import regress_evaluation_loader
from cnnpipe.errors import ModelError
from cnnpipe.inference.forward import forward
from cnnpipe.inference.picture_network import load_picture_network
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.inference.torch_settings import repeatable_torch
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec, Target

_BATCH_SIZE: Final = 64


@dataclass(frozen=True)
class Regressor:
    """A trained network and everything about it."""

    spec: ModelSpec
    target: Target  # that of the spec
    network: nn.Module  # on the CPU, in evaluation mode


def load_regressor(folder: Path) -> Regressor:
    """Return the regressor whose model.json and weights.safetensors are in `folder`.

    Raises:
        ModelError: a file is missing, damaged, does not fit the other, or is of another task.
    """
    spec, network = load_picture_network(folder)
    if spec.target is None:
        what = f"is of a model of task {spec.task}: it predicts no number"
        raise ModelError(str(folder / MODEL_FILE), what, "name a model of task regress")
    return Regressor(spec=spec, target=spec.target, network=network)


def predict_values(regressor: Regressor, view: Path, split: Split) -> npt.NDArray[np.float64]:
    """Return the number of every sample of a split, in the order of the view's samples.jsonl.

    Runs on one thread of the CPU, so that every machine finds the same numbers.

    Args:
        regressor: the network may have been trained on another view.
        view: folder of a regression view.
        split: train without augmentation, val or test.

    Returns:
        values_N float64, in the unit of the attribute; N may be 0.

    Raises:
        DataError: the view is missing or damaged.
    """
    preprocessing = regressor.spec.preprocessing
    loader = regress_evaluation_loader(
        open_regress_view(view),
        preprocess_of(preprocessing),
        split=split,
        batch_size=_BATCH_SIZE,
        num_workers=0,
    )
    with repeatable_torch(num_threads=1):
        outputs_N1, _ = forward(
            regressor.network, loader, normalise_of(preprocessing), device=torch.device("cpu")
        )
    return _to_values(regressor, outputs_N1)


def values_of_pictures(regressor: Regressor, pictures: Sequence[Picture]) -> npt.NDArray[np.float64]:
    """Return the number of each picture (H, W, C) uint8, judged as a whole, in one forward pass: values_B."""
    if not pictures:
        return np.zeros(0)
    preprocessing = regressor.spec.preprocessing
    preprocess = preprocess_of(preprocessing)
    pictures_BHWC = np.stack([preprocess(picture) for picture in pictures])
    batch = (torch.from_numpy(pictures_BHWC).permute(0, 3, 1, 2), torch.zeros(len(pictures)))
    outputs_B1, _ = forward(
        regressor.network, [batch], normalise_of(preprocessing), device=torch.device("cpu")
    )
    return _to_values(regressor, outputs_B1)


def _to_values(regressor: Regressor, outputs_N1: torch.Tensor) -> npt.NDArray[np.float64]:
    target = regressor.target
    return np.asarray(target.mean + target.std * outputs_N1.reshape(-1).numpy())
