"""Which samples are shown."""

import numpy as np

from cnnpipe.evaluation.agreement import confident_mistakes, telling_samples
from cnnpipe.evaluation.arrays import Scored


def scored(truth: list[int], score_of_first: list[float]) -> Scored:
    scores = np.array([[score, 1 - score] for score in score_of_first])
    return Scored(classes=("a", "b"), truth=np.array(truth), scores=scores, group=np.arange(len(truth)))


def test_surest_mistakes_come_first_and_what_is_right_is_left_out() -> None:
    samples = scored([0, 0, 1, 1, 0], [0.4, 0.9, 0.95, 0.1, 0.05])
    assert confident_mistakes(samples, limit=9) == [2, 4, 0]
    assert confident_mistakes(samples, limit=1) == [2]


def test_mistakes_of_equal_confidence_keep_their_order() -> None:
    assert confident_mistakes(scored([1, 1, 1], [0.8, 0.8, 0.8]), limit=3) == [0, 1, 2]


def test_disagreement_comes_before_common_mistakes_and_these_before_what_all_know() -> None:
    truth = [0, 0, 0, 0, 0]
    first = scored(truth, [0.9, 0.2, 0.9, 0.6, 0.9])
    second = scored(truth, [0.8, 0.1, 0.2, 0.6, 0.4])
    # 2 and 4: only the first is right, 2 less certainly; 1: both wrong; 3 and 0: both right
    assert telling_samples([first, second], limit=9) == [2, 4, 1, 3, 0]
    assert telling_samples([first, second], limit=2) == [2, 4]


def test_one_classifier_alone_shows_its_mistakes_first() -> None:
    assert telling_samples([scored([0, 0, 0], [0.9, 0.2, 0.4])], limit=3) == [1, 2, 0]
