"""A bundle as MLflow loads it: a table with the bytes of pictures in, a table of what is in them out.

import mlflow, pandas
model = mlflow.pyfunc.load_model("runs:/<run id>/model")  # or models:/<name>/<version>
model.predict(pandas.DataFrame({"image": [open("a.jpg", "rb").read()]}))
"""

import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec
import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own

from cnnpipe.formats.pictures import read_picture
from cnnpipe.inference.annotator import Annotator, Answer, open_annotator
from cnnpipe.tracking.logged_model import DETECTIONS, IMAGE, VALUE

_MAX_PIXELS: Final = 100_000_000  # a larger picture is refused before it is decoded


class ServedModel:
    """What mlflow.pyfunc wants of a model: a method `predict`.

    Args:
        annotator: the trained network.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return what is in pictures, one row per picture.

        Args:
            model_input: column `image`: the bytes of a PNG, JPEG or other file that Pillow reads, over
                HTTP in base64.
            params: none are known.

        Returns:
            Of a classifier one column per class: scores in [0, 1] that sum to 1, each picture judged as a
            whole: a crop of one object, where objects were learnt. Of a detector one column `detections`: a
            list of {"label", "score", "box": [x0, y0, x1, y1]}, pixels of the picture as a viewer shows it,
            the best score first, from the thresholds of model.json on. Of a regressor one column `value`: the
            number of the picture as a whole, in the unit of the attribute it learnt.

        Raises:
            DataError: bytes that are no picture, or of too many pixels.
        """
        del params
        answers = [self._answer(content) for content in model_input[IMAGE]]
        if self._annotator.spec.task == "detect":
            detections = [msgspec.to_builtins(each.detections) for each in answers]
            return pd.DataFrame({DETECTIONS: pd.Series(detections, dtype=object)})
        if self._annotator.spec.task == "regress":
            return pd.DataFrame({VALUE: [each.value for each in answers]}, dtype="float64")
        scores = [each.scores for each in answers]
        return pd.DataFrame(scores, columns=self._annotator.spec.classes, dtype="float64")

    def _answer(self, content: bytes) -> Answer:
        channels: Any = self._annotator.spec.preprocessing.channels
        with tempfile.NamedTemporaryFile(prefix="cnnpipe-") as file:
            file.write(content)
            file.flush()
            picture_HWC = read_picture(Path(file.name), channels=channels, max_pixels=_MAX_PIXELS)
        return self._annotator.annotate([picture_HWC])[0]


def _load_pyfunc(folder: str) -> ServedModel:
    """Return the model in `folder`; MLflow calls a loader module by this name."""
    return ServedModel(open_annotator(Path(folder)))
