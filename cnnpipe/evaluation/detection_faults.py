"""The kind of every object and of every reported detection, and which pictures have most faults.

The kinds are those of `detection_counts`. Shapes: I pictures, N objects, M reported detections.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from cnnpipe.evaluation.arrays import Ints
from cnnpipe.evaluation.detection_counts import Reported
from cnnpipe.evaluation.matching import NOT_MATCHED

Kind: TypeAlias = Literal["found", "missed", "wrong class", "false alarm"]


def object_kinds(said: Reported) -> list[Kind]:
    """Return of each object whether it is found, missed, or taken for another class: (N,)."""
    kinds: list[Kind] = ["missed"] * len(said.stacked.truth_class)
    for position in said.found[said.found != NOT_MATCHED].tolist():
        kinds[position] = "found"
    for position in said.confused[said.confused != NOT_MATCHED].tolist():
        kinds[position] = "wrong class"
    return kinds


def detection_kinds(said: Reported) -> list[Kind]:
    """Return of each reported detection: finds an object, names it wrongly, or is a false alarm: (M,)."""
    pairs = zip(said.found.tolist(), said.confused.tolist(), strict=True)
    return [
        "found" if found != NOT_MATCHED else "wrong class" if confused != NOT_MATCHED else "false alarm"
        for found, confused in pairs
    ]


def faults_by_picture(said: Reported) -> Ints:
    """Return how many objects of each picture are not found, plus how many false alarms it has: (I,)."""
    stacked = said.stacked
    is_lost_N = np.array([kind != "found" for kind in object_kinds(said)], dtype=bool)
    is_alarm_M = np.array([kind == "false alarm" for kind in detection_kinds(said)], dtype=bool)
    lost_I = np.bincount(stacked.truth_picture[is_lost_N], minlength=stacked.num_pictures)
    return lost_I + np.bincount(stacked.picture[is_alarm_M], minlength=stacked.num_pictures)


def worst_first(faults: Sequence[Ints]) -> list[int]:
    """Return the numbers of the pictures, most faults over all detectors first; equal ones in order.

    Args:
        faults: of each detector, (I,) by `faults_by_picture`.
    """
    total_I = np.sum(faults, axis=0)
    return [int(number) for number in np.argsort(-total_I, kind="stable")]
