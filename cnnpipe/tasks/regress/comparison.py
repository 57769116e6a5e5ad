"""Regressors side by side: what each says of the same test samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from cnnpipe import files
from cnnpipe.datasets.packs import open_regress_view, picture_at, positions_of
from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.pairing import Resampled
from cnnpipe.evaluation.predictions import PREDICTIONS_FILE, ValuePrediction
from cnnpipe.evaluation.regression import Valued, bootstrap_errors, stack_values
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.reports.contenders import Answer, Answers, Contender, JudgedPicture, TaskWords
from cnnpipe.reports.definitions_regress import REGRESS_OVERALL
from cnnpipe.reports.thumbnails import thumbnail_uri

_NUM_PICTURES: Final = 24  # shown with every experiment's answer

_WORDS: Final = TaskWords(
    task="regression",
    samples="samples",
    overall=REGRESS_OVERALL,
    over_all="of all samples",
    of_a_class=None,
    of_a_class_definition=None,
    only_first="the first errs less",
    only_second="the second errs less",
    only="The last columns count test samples.",
    pictures="Those on which the predictions differ most first.",
    is_share=False,
)


def answers_of(contenders: Sequence[Contender], metric: str, view: Path, params: CompareParams) -> Answers:
    """Return what the regressors say of test.

    Args:
        contenders: one at least, in the order of the page.
        metric: by which they are compared.
        view: the pictures.
        params: section `compare`.

    Raises:
        DataError: predictions are missing or broken.
    """
    valued = {one.name: _valued(one) for one in contenders}
    shown = {one.name: valued[one.name] for one in contenders if one.is_current}
    return Answers(
        words=_WORDS,
        classes=[],
        resampled={name: resampled_of(of, metric, params) for name, of in valued.items()},
        pictures=_pictures(view, shown) if shown else [],
        scenes=[],
    )


def resampled_of(valued: Valued, metric: str, params: CompareParams) -> Resampled:
    """Return what a regressor says of test, to be compared with others."""
    drawn = bootstrap_errors(valued, num_resamples=params.bootstrap_samples, seed=params.seed)
    return Resampled(
        metric=drawn[metric],
        merit=-np.abs(valued.error),
        num_samples=len(valued.truth),
        has_intervals=intervals.has_intervals(valued.group),
    )


def _valued(contender: Contender) -> Valued:
    return stack_values(files.read_jsonl(contender.results / PREDICTIONS_FILE, ValuePrediction))


def _pictures(view: Path, shown: dict[str, Valued]) -> list[JudgedPicture]:
    opened = open_regress_view(view)
    positions = positions_of(opened, "test")
    pictures = []
    for index in _telling(list(shown.values()))[:_NUM_PICTURES]:
        sample = opened.samples[positions[index]]
        pictures.append(
            JudgedPicture(
                image_id=sample.image_id,
                region=sample.region,
                truth=f"{sample.value:.4g}",
                picture=thumbnail_uri(picture_at(opened, positions[index])),
                answers=[_answer(name, valued, index) for name, valued in shown.items()],
            )
        )
    return pictures


def _telling(valued: Sequence[Valued]) -> list[int]:
    """Return positions, where the predictions differ most first; of one experiment, its largest errors."""
    predicted_MN = np.array([of.predicted for of in valued])
    spread_N = np.ptp(predicted_MN, axis=0)
    error_N = np.abs(predicted_MN - valued[0].truth).max(axis=0)
    return [int(position) for position in np.lexsort((-error_N, -spread_N))]


def _answer(name: str, valued: Valued, index: int) -> Answer:
    said = f"{valued.predicted[index]:.4g} ({valued.error[index]:+.3g})"
    return Answer(experiment=name, label=said, score=None, is_right=None)
