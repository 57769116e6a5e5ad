"""The functions that `Preprocessing`, a part of model.json, stands for."""

from functools import partial

from cnnpipe.augmentation.preprocess import Preprocess, build_preprocess
from cnnpipe.datasets.normalisation import normalise
from cnnpipe.inference.forward import Normalise
from cnnpipe.models.bundle import Preprocessing


def preprocess_of(preprocessing: Preprocessing) -> Preprocess:
    """Return the function from a picture of any size to the network's square, both HWC uint8."""
    return build_preprocess(
        side_px=preprocessing.side_px, channels=preprocessing.channels, fit=preprocessing.fit
    )


def normalise_of(preprocessing: Preprocessing) -> Normalise:
    """Return the function from a batch BCHW uint8 to float32 as the network sees it."""
    return partial(normalise, mean=preprocessing.mean, std=preprocessing.std)
