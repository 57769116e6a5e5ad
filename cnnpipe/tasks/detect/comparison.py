"""Detectors side by side: what each finds in the same test pictures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from cnnpipe import files
from cnnpipe.datasets.packs import open_detect_view, picture_at, positions_of
from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.detection import judged_of
from cnnpipe.evaluation.detection_faults import faults_by_picture, object_kinds, worst_first
from cnnpipe.evaluation.detection_suite import DetectorJudgement, judge_detections, resampled_metrics
from cnnpipe.evaluation.pairing import Resampled
from cnnpipe.evaluation.predictions import PREDICTIONS_FILE, DetectPrediction
from cnnpipe.models.bundle import ModelSpec
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.reports import judged_scenes
from cnnpipe.reports.contenders import Answers, Contender, TaskWords
from cnnpipe.reports.definitions_detect import DETECT_OF_A_CLASS, DETECT_OVERALL
from cnnpipe.reports.scenes import Marked, Scene, draw_scene, that_fit

_NUM_PICTURES: Final = 12  # shown with what every experiment finds

_WORDS: Final = TaskWords(
    task="detection",
    samples="pictures",
    overall=DETECT_OVERALL,
    over_all="over all classes",
    of_a_class="ap_50",
    of_a_class_definition=DETECT_OF_A_CLASS["ap_50"],
    only_first="only the first finds",
    only_second="only the second finds",
    only="The last columns count objects of test, found at the thresholds that each detector chose on val.",
    pictures=(
        "Those with the most faults of all experiments together first; detections from the thresholds on. "
        "In the truth, “missed” is what one experiment or more does not find."
    ),
    is_share=True,
)


class _Detector(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One experiment's answers."""

    predictions: list[DetectPrediction]
    judged: DetectorJudgement


def answers_of(contenders: Sequence[Contender], metric: str, view: Path, params: CompareParams) -> Answers:
    """Return what the detectors find in test.

    Args:
        contenders: one at least, in the order of the page.
        metric: by which they are compared.
        view: the pictures.
        params: section `compare`.

    Raises:
        DataError: predictions are missing or broken, or do not fit the model.
    """
    detectors = {one.name: _read(one) for one in contenders}
    shown = {one.name: detectors[one.name] for one in contenders if one.is_current}
    return Answers(
        words=_WORDS,
        classes=list(dict.fromkeys(label for one in contenders for label in one.spec.classes)),
        resampled={name: resampled_of(one.judged, metric, params) for name, one in detectors.items()},
        pictures=[],
        scenes=that_fit(_scenes(view, shown), limit=_NUM_PICTURES) if shown else [],
    )


def resampled_of(judged: DetectorJudgement, metric: str, params: CompareParams) -> Resampled:
    """Return what a detector says of test, to be compared with others."""
    drawn = resampled_metrics(judged, seed=params.seed, num_resamples=params.bootstrap_samples)
    return Resampled(
        metric=drawn[metric],
        merit=np.array([kind == "found" for kind in object_kinds(judged.said)], dtype=bool),
        num_samples=len(judged.pictures),
        has_intervals=intervals.has_intervals(judged.group),
    )


def judgement_of(predictions: Sequence[DetectPrediction], spec: ModelSpec) -> DetectorJudgement:
    """Return a detector's answers, matched.

    Raises:
        DataError: they do not fit the model.
    """
    groups = [prediction.group for prediction in predictions]
    return judge_detections(judged_of(predictions, spec.classes), spec.classes, spec.thresholds, groups)


def _read(contender: Contender) -> _Detector:
    predictions = files.read_jsonl(contender.results / PREDICTIONS_FILE, DetectPrediction)
    return _Detector(predictions=predictions, judged=judgement_of(predictions, contender.spec))


def _scenes(view: Path, shown: Mapping[str, _Detector]) -> Iterator[Scene]:
    """Yield the test pictures with a panel per detector, those with most faults of all of them first."""
    opened = open_detect_view(view)
    positions = positions_of(opened, "test")
    answers = {
        name: judged_scenes.answers_of(one.predictions, one.judged.said) for name, one in shown.items()
    }
    predictions = next(iter(shown.values())).predictions
    for number in worst_first([faults_by_picture(one.judged.said) for one in shown.values()]):
        truths = [of.truths[number] for of in answers.values()]
        panels = [("truth", _of_all(truths))]
        panels += [
            (f"{name}: {judged_scenes.said_of(of.truths[number], of.reported[number])}", of.reported[number])
            for name, of in answers.items()
        ]
        yield draw_scene(
            picture_at(opened, positions[number]),
            panels,
            title=predictions[number].image_id,
            said=f"{len(truths[0])} objects" if len(truths[0]) != 1 else "1 object",
            size=(predictions[number].width, predictions[number].height),
        )


def _of_all(truths: Sequence[Sequence[Marked]]) -> list[Marked]:
    """Return the objects of a picture; found is what every detector finds."""
    return [
        marks[0]
        if all(mark.kind == "found" for mark in marks)
        else msgspec.structs.replace(marks[0], kind="missed")
        for marks in zip(*truths, strict=True)
    ]
