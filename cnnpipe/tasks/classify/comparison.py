"""Classifiers side by side: what each says of the same test samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cnnpipe import files
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.agreement import telling_samples
from cnnpipe.evaluation.arrays import Scored, stack
from cnnpipe.evaluation.pairing import Resampled
from cnnpipe.evaluation.predictions import PREDICTIONS_FILE, Prediction
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.reports.contenders import Answer, Answers, Contender, JudgedPicture, TaskWords
from cnnpipe.reports.definitions import OF_A_CLASS, OVERALL
from cnnpipe.reports.thumbnails import thumbnail_uri

_NUM_PICTURES: Final = 24  # shown with every experiment's answer

_WORDS: Final = TaskWords(
    task="classification",
    samples="samples",
    overall=OVERALL,
    over_all="over all classes",
    of_a_class="f1",
    of_a_class_definition=OF_A_CLASS["f1"],
    only_first="only the first is right",
    only_second="only the second is right",
    only="The last columns count test samples.",
    pictures=(
        "First those on which the experiments differ, then those that all get wrong, then those all get "
        "right; within each, the least certain first."
    ),
    is_share=True,
)


def answers_of(contenders: Sequence[Contender], metric: str, view: Path, params: CompareParams) -> Answers:
    """Return what the classifiers say of test.

    Args:
        contenders: one at least, in the order of the page.
        metric: by which they are compared.
        view: the pictures.
        params: section `compare`.

    Raises:
        DataError: predictions are missing or broken, or do not fit the model.
    """
    scored = {one.name: _scored(one) for one in contenders}
    shown = {one.name: scored[one.name] for one in contenders if one.is_current}
    return Answers(
        words=_WORDS,
        classes=list(dict.fromkeys(label for of in scored.values() for label in of.classes)),
        resampled={name: resampled_of(of, metric, params) for name, of in scored.items()},
        pictures=_pictures(view, shown) if shown else [],
        scenes=[],
    )


def resampled_of(scored: Scored, metric: str, params: CompareParams) -> Resampled:
    """Return what a classifier says of test, to be compared with others."""
    drawn = intervals.bootstrap(scored, num_resamples=params.bootstrap_samples, seed=params.seed)
    return Resampled(
        metric=drawn[metric],
        merit=scored.predicted == scored.truth,
        num_samples=len(scored.truth),
        has_intervals=intervals.has_intervals(scored.group),
    )


def _scored(contender: Contender) -> Scored:
    return stack(files.read_jsonl(contender.results / PREDICTIONS_FILE, Prediction), contender.spec.classes)


def _pictures(view: Path, shown: dict[str, Scored]) -> list[JudgedPicture]:
    opened = open_view(view)
    positions = positions_of(opened, "test")
    pictures = []
    for index in telling_samples(list(shown.values()), limit=_NUM_PICTURES):
        sample = opened.samples[positions[index]]
        pictures.append(
            JudgedPicture(
                image_id=sample.image_id,
                region=sample.region,
                truth=sample.label,
                picture=thumbnail_uri(picture_at(opened, positions[index])),
                answers=[_answer(name, scored, index) for name, scored in shown.items()],
            )
        )
    return pictures


def _answer(name: str, scored: Scored, index: int) -> Answer:
    predicted = int(scored.predicted[index])
    return Answer(
        experiment=name,
        label=scored.classes[predicted],
        score=float(scored.scores[index, predicted]),
        is_right=predicted == int(scored.truth[index]),
    )
