"""A bundle as MLflow loads it: a table with the bytes of pictures in, a table of scores out.

Legend: B batch, H W pixels, C channels, K classes.
"""

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own
import torch

from cnnpipe.formats.pictures import read_picture
from cnnpipe.inference.classifier import Classifier, load_classifier
from cnnpipe.inference.forward import forward_batches, softmax
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of
from cnnpipe.tracking.logged_model import IMAGE

_MAX_PIXELS: Final = 100_000_000  # a larger picture is refused before it is decoded


class ServedClassifier:
    """What mlflow.pyfunc wants of a model: a method `predict`.

    Args:
        classifier: the trained network.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._preprocess = preprocess_of(classifier.spec.preprocessing)

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the scores of pictures, each judged as a whole: a crop of one object, as in training.

        Args:
            model_input: column `image`: the bytes of a PNG, JPEG or other file that Pillow reads, over
                HTTP in base64.
            params: none are known.

        Returns:
            One row per picture, one column per class; scores in [0, 1] that sum to 1.
        """
        del params
        spec = self._classifier.spec
        scores = [self._scores(content) for content in model_input[IMAGE]]
        return pd.DataFrame(np.reshape(scores, (-1, len(spec.classes))), columns=spec.classes)

    def _scores(self, content: bytes) -> np.ndarray[Any, np.dtype[np.float64]]:
        spec = self._classifier.spec
        channels: Any = spec.preprocessing.channels
        with tempfile.NamedTemporaryFile(prefix="cnnpipe-") as file:
            file.write(content)
            file.flush()
            picture_HWC = read_picture(Path(file.name), channels=channels, max_pixels=_MAX_PIXELS)
        picture_BCHW = torch.from_numpy(self._preprocess(picture_HWC)).permute(2, 0, 1)[None]
        logits_BK, _ = forward_batches(
            self._classifier.network,
            [(picture_BCHW, torch.zeros(1, dtype=torch.int64))],
            normalise_of(spec.preprocessing),
            device=torch.device("cpu"),
        )
        return softmax(logits_BK)


def _load_pyfunc(folder: str) -> ServedClassifier:
    """Return the model in `folder`; MLflow calls a loader module by this name."""
    return ServedClassifier(load_classifier(Path(folder)))
