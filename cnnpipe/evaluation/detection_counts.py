"""What a detector's reported boxes are worth: those whose score reaches the threshold of their class.

Each detection and each object is one of four kinds. First every class for itself is matched at an IoU of 0.5:
what is matched is *found*. What is left is matched across classes in the same way: there an object was seen
and given the *wrong class*. A detection that is still left is a *false alarm* (a second box on an object that
is found is one, too), an object that is still left is *missed*. So the diagonal of the confusion matrix holds
the true positives of precision and recall; a row sums to the objects of its class, a column to its
detections.

Shapes: I pictures, K classes, N objects, M detections; `...` leading axes, e.g. the resamples of a bootstrap.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from cnnpipe.evaluation.arrays import Floats, Ints, ratio
from cnnpipe.evaluation.confusion import confusion_matrix
from cnnpipe.evaluation.matching import NOT_MATCHED, Stacked, match, overlaps, unmatched_pairs

BACKGROUND = "background"


class Reported(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The detections from their thresholds on, and the object that each belongs to."""

    stacked: Stacked  # with these detections only
    position: Ints  # (M,) of each among all detections
    found: Ints  # (M,) the object of its own class that it finds, or NOT_MATCHED
    confused: Ints  # (M,) the object of another class that it takes for its own, or NOT_MATCHED


class Counts(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """How many objects there are, detections, and detections that find one: (..., K) each."""

    truths: Floats
    detections: Floats
    hits: Floats

    @property
    def precision(self) -> Floats:
        """TP / (TP + FP); NaN without a detection."""
        return ratio(self.hits, self.detections)

    @property
    def recall(self) -> Floats:
        """TP / (TP + FN); NaN without an object."""
        return ratio(self.hits, self.truths)

    @property
    def f1(self) -> Floats:
        """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall; NaN without an object."""
        return np.where(self.truths > 0, ratio(2 * self.hits, self.truths + self.detections), np.nan)

    @property
    def micro(self) -> "Counts":
        """The same of all classes together: (..., 1)."""
        sums = (values.sum(axis=-1, keepdims=True) for values in (self.truths, self.detections, self.hits))
        truths, detections, hits = sums
        return Counts(truths=truths, detections=detections, hits=hits)


def reported(stacked: Stacked, thresholds_K: Sequence[float]) -> Reported:
    """Return the detections that reach the threshold of their class, matched as this module says."""
    position_M = np.flatnonzero(stacked.scores >= np.array(thresholds_K)[stacked.class_index])
    kept = msgspec.structs.replace(
        stacked,
        picture=stacked.picture[position_M],
        class_index=stacked.class_index[position_M],
        boxes=stacked.boxes[position_M],
        scores=stacked.scores[position_M],
    )
    found_M = match(overlaps(kept, min_iou=0.5), len(position_M))
    rest = unmatched_pairs(overlaps(kept, min_iou=0.5, across_classes=True), found_M)
    return Reported(stacked=kept, position=position_M, found=found_M, confused=match(rest, len(position_M)))


def counts_by_picture(said: Reported) -> Counts:
    """Return the counts of every picture and class: (I, K) each; their sum over the pictures is the whole."""
    stacked, is_hit = said.stacked, said.found != NOT_MATCHED
    return Counts(
        truths=_table(stacked, stacked.truth_picture, stacked.truth_class),
        detections=_table(stacked, stacked.picture, stacked.class_index),
        hits=_table(stacked, stacked.picture[is_hit], stacked.class_index[is_hit]),
    )


def total(counts: Counts) -> Counts:
    """Return the sums over the first axis, the pictures."""
    return Counts(
        truths=counts.truths.sum(axis=0),
        detections=counts.detections.sum(axis=0),
        hits=counts.hits.sum(axis=0),
    )


def macro(values_K: Floats, counts: Counts) -> Floats:
    """Return the mean over the classes that have objects, undefined values counting as 0: (...).

    Leaving a class unpredicted must not raise a mean, see `confusion`.
    """
    has_truths = counts.truths > 0
    return ratio(np.where(has_truths, np.nan_to_num(values_K), 0.0).sum(axis=-1), has_truths.sum(axis=-1))


def pairs_of_classes(said: Reported) -> tuple[Ints, Ints]:
    """Return truth and prediction as class_index, K for the background: a pair per object or false alarm.

    First the objects in their order, then the false alarms.
    """
    stacked, background = said.stacked, said.stacked.num_classes
    object_of_M = np.maximum(said.found, said.confused)
    is_matched = object_of_M != NOT_MATCHED
    predicted_N = np.full(len(stacked.truth_class), background, dtype=np.int64)
    predicted_N[object_of_M[is_matched]] = stacked.class_index[is_matched]
    false_alarms = stacked.class_index[~is_matched]
    truth = np.concatenate([stacked.truth_class, np.full(len(false_alarms), background)])
    return truth, np.concatenate([predicted_N, false_alarms])


def detection_confusion(said: Reported) -> Ints:
    """Return how often each class was taken for each: (K + 1, K + 1), rows are the truth.

    The last row is the background, what was reported where nothing is; the last column what was missed.
    """
    truth, predicted = pairs_of_classes(said)
    return confusion_matrix(truth, predicted, num_classes=said.stacked.num_classes + 1)


def _table(stacked: Stacked, picture: Ints, class_index: Ints) -> Floats:
    cells = picture * stacked.num_classes + class_index
    counted = np.bincount(cells, minlength=stacked.num_pictures * stacked.num_classes)
    return counted.reshape(stacked.num_pictures, stacked.num_classes).astype(np.float64)
