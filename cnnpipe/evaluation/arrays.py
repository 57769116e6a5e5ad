"""Predictions as arrays: what every metric of a classifier is computed from.

Shapes: N samples, K classes.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from cnnpipe.errors import DataError
from cnnpipe.evaluation.predictions import Prediction

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Scored(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Truth and scores of N samples; the position in `classes` is the class_index."""

    classes: tuple[str, ...]
    truth: Ints  # (N,) class_index
    scores: Floats  # (N, K) in [0, 1]; a row sums to 1
    group: Ints  # (N,) number of the sample's group, from 0 without gaps

    @property
    def predicted(self) -> Ints:
        """The class_index of the highest score, (N,); of equal scores, the first."""
        return np.asarray(self.scores.argmax(axis=1))


def stack(predictions: Sequence[Prediction], classes: Sequence[str]) -> Scored:
    """Return the predictions as arrays, in their order.

    Args:
        predictions: truth and scores per sample; may be empty.
        classes: every class the classifier knows, in the order of its outputs.

    Raises:
        DataError: a truth is not among `classes`, or the scores are of other classes.
    """
    for prediction in predictions:
        if prediction.label not in classes or prediction.scores.keys() != set(classes):
            raise DataError(
                prediction.image_id,
                f"label {prediction.label!r} and the scores do not fit the classes {', '.join(classes)}",
                "run evaluate again for this experiment",
            )
    index_of = {name: index for index, name in enumerate(classes)}
    scores = [[prediction.scores[name] for name in classes] for prediction in predictions]
    groups = np.array([prediction.group for prediction in predictions], dtype=np.str_)
    return Scored(
        classes=tuple(classes),
        truth=np.array([index_of[prediction.label] for prediction in predictions], dtype=np.int64),
        scores=np.array(scores, dtype=np.float64).reshape(len(predictions), len(classes)),
        group=np.unique(groups, return_inverse=True)[1].astype(np.int64),
    )


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """Return `part / whole`, both at least 0; 0/0 is undefined and NaN."""
    parts, wholes = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    undefined = np.full(np.broadcast_shapes(parts.shape, wholes.shape), np.nan)
    return np.asarray(np.divide(parts, wholes, out=undefined, where=wholes > 0))
