"""Every number that is reported of a detector, under its flat name.

`<metric>/<class>` is of one class, `<name>/ci_low` and `<name>/ci_high` are the ends of a metric's interval.
What is undefined is absent: JSON has no NaN.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np

from cnnpipe.errors import DataError
from cnnpipe.evaluation import detection_curves as curves
from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.arrays import Bools, Floats, Ints
from cnnpipe.evaluation.curves import ClassCurves, roc_auc
from cnnpipe.evaluation.detection import Judged, coco_numbers, stack, xywh
from cnnpipe.evaluation.detection_counts import Counts, Reported, counts_by_picture, macro, reported, total
from cnnpipe.evaluation.detection_intervals import bootstrap_detection
from cnnpipe.evaluation.detection_ranking import Ranking, rank

# Source: pycocotools, `Params.setDetParams`, areaRng.
_AREAS_PX: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, math.inf)}
)


class DetectorJudgement(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A detector's answers on a set of pictures, matched once; all metrics are read from it."""

    classes: tuple[str, ...]
    pictures: Sequence[Judged]
    group: Ints  # (I,) number of each picture's group, from 0 without gaps
    rankings: list[Ranking]  # of each class
    said: Reported  # from the thresholds on
    counts: Counts  # of every picture and class

    @property
    def curves(self) -> list[ClassCurves]:
        return curves.detector_curves(self.rankings, self.classes)


def judge_detections(
    pictures: Sequence[Judged], classes: Sequence[str], thresholds: Mapping[str, float], groups: Sequence[str]
) -> DetectorJudgement:
    """Match the detections of every picture.

    Args:
        pictures: truth and detections.
        classes: in the order of the class_index.
        thresholds: class -> score from which its detections are reported.
        groups: of each picture.

    Raises:
        DataError: a class has no threshold.
    """
    if missing := [label for label in classes if label not in thresholds]:
        what = f"has no threshold for {', '.join(missing)}"
        raise DataError("model.json", what, "train the experiment again")
    stacked = stack(pictures, num_classes=len(classes))
    said = reported(stacked, [thresholds[label] for label in classes])
    names = np.array(groups, dtype=np.str_)
    return DetectorJudgement(
        classes=tuple(classes),
        pictures=pictures,
        group=np.unique(names, return_inverse=True)[1].astype(np.int64),
        rankings=rank(stacked),
        said=said,
        counts=counts_by_picture(said),
    )


def detection_metrics(
    judged: DetectorJudgement, *, seed: int, num_resamples: int, confidence: float
) -> dict[str, float]:
    """Return every metric that is defined, by name; intervals where there are two groups at least.

    Args:
        judged: at least one picture.
        seed: of the bootstrap.
        num_resamples: of the bootstrap.
        confidence: share of the resamples inside an interval, e.g. 0.95.
    """
    found = coco_numbers(judged.pictures, num_classes=len(judged.classes))
    found |= _areas(judged) | _counted(judged) | _of_curves(judged)
    if intervals.has_intervals(judged.group):
        drawn = resampled_metrics(judged, seed=seed, num_resamples=num_resamples)
        found |= intervals.interval_ends(drawn, confidence=confidence)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def resampled_metrics(judged: DetectorJudgement, *, seed: int, num_resamples: int) -> dict[str, Floats]:
    """Return the metrics of every resample, see `bootstrap_detection`."""
    rankings = dict(zip(judged.classes, judged.rankings, strict=True))
    return bootstrap_detection(rankings, judged.counts, judged.group, num_resamples=num_resamples, seed=seed)


def num_objects_by_size(judged: DetectorJudgement) -> dict[str, int]:
    """Return how many objects COCO counts as small, medium and large; one of just 32² or 96² px as both."""
    stacked = judged.said.stacked
    areas_N = xywh(stacked.truth_boxes)[:, 2:].prod(axis=1)
    return {
        name: int(((areas_N >= low) & (areas_N <= high)).sum()) for name, (low, high) in _AREAS_PX.items()
    }


def undefined_notes(judged: DetectorJudgement) -> list[str]:
    """Return one sentence for each reason why metrics are absent; it begins in lower case."""
    counts, notes = total(judged.counts), []
    has_truths = counts.truths > 0
    num_found = np.array([len(ranking.scores) for ranking in judged.rankings])
    if missing := _names(judged, ~has_truths):
        notes.append(
            f"no object of {missing}: no AP, recall or F1 there, and no part in any mean over classes."
        )
    if silent := _names(judged, has_truths & (num_found == 0)):
        notes.append(f"never detected: {silent}. AP, recall and F1 are 0 there.")
    if unsure := _names(judged, has_truths & (num_found > 0) & (counts.detections == 0)):
        notes.append(
            f"no detection reaches the threshold of {unsure}."
            " Precision is undefined there and counts as 0 in means."
        )
    if few := _names(judged, has_truths & (num_found < counts.truths) & (num_found > 0)):
        notes.append(f"fewer detections than objects of {few}: there is no break-even point.")
    if one_sided := _names(
        judged, np.array([has_no_roc(ranking) for ranking in judged.rankings]) & has_truths
    ):
        notes.append(f"every picture shows {one_sided}: there is no ROC curve of presence.")
    if not intervals.has_intervals(judged.group):
        notes.append("all pictures belong to one group: there are no confidence intervals.")
    return notes


def has_no_roc(ranking: Ranking) -> bool:
    """Return whether every picture shows the class."""
    return bool((ranking.truths_in_picture > 0).all())


def _names(judged: DetectorJudgement, chosen_K: Bools) -> str:
    return ", ".join(label for label, chosen in zip(judged.classes, chosen_K, strict=True) if chosen)


def _areas(judged: DetectorJudgement) -> dict[str, float]:
    """AP of each class, and the means that COCO's numbers do not have."""
    by_class = {
        label: areas
        for label, ranking in zip(judged.classes, judged.rankings, strict=True)
        if (areas := curves.average_precisions(ranking))
    }
    names = curves.AveragePrecisions.__struct_fields__
    found = {f"{name}/{label}": getattr(areas, name) for name in names for label, areas in by_class.items()}
    for name in ("ap_50_all_points", "ap_50_11_points"):
        if by_class:
            found[f"m{name}"] = float(np.mean([getattr(areas, name) for areas in by_class.values()]))
    return found


def _counted(judged: DetectorJudgement) -> dict[str, float]:
    """Metrics at the thresholds."""
    counts, found = total(judged.counts), {}
    for name in ("precision", "recall", "f1"):
        values_K = getattr(counts, name)
        found[f"{name}_micro"] = float(getattr(counts.micro, name)[0])
        found[f"{name}_macro"] = float(macro(values_K, counts))
        found |= {f"{name}/{label}": float(values_K[index]) for index, label in enumerate(judged.classes)}
    return found


def _of_curves(judged: DetectorJudgement) -> dict[str, float]:
    """Break-even points, and areas of the ROC of presence; means are over the classes that have them."""
    found: dict[str, dict[str, float]] = {}
    for of_class in judged.curves:
        if (curve := of_class.precision_recall) and math.isfinite(curve.break_even):
            found.setdefault("break_even", {})[of_class.label] = curve.break_even
        if of_class.roc:
            found.setdefault("presence_roc_auc", {})[of_class.label] = roc_auc(of_class.roc)
    flat = {f"{name}/{label}": value for name, values in found.items() for label, value in values.items()}
    return {f"{name}_macro": float(np.mean(list(values.values()))) for name, values in found.items()} | flat
