"""What stage `compare` hands to a task, and what it gets back: the answers of its experiments."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from cnnpipe.evaluation.pairing import Resampled
from cnnpipe.models.bundle import ModelSpec
from cnnpipe.reports.definitions import Definition
from cnnpipe.reports.scenes import Scene
from cnnpipe.training.records import RunRecord


class Contender(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One experiment among those of its task, trained and judged."""

    name: str
    results: Path  # results/<exp>
    run: RunRecord
    spec: ModelSpec
    metrics: dict[str, float]  # of metrics.json
    is_current: bool  # judged on the view as it is now: its pictures are what it saw


class TaskWords(msgspec.Struct, frozen=True, kw_only=True):
    """How the page speaks of a task."""

    task: str
    samples: str  # what the bootstrap draws and the table counts
    overall: Mapping[str, Definition]
    over_all: str  # heads the table of those
    of_a_class: str | None  # the metric that is shown for each class; None: there are no classes
    of_a_class_definition: Definition | None
    only_first: str  # heads the column of what only one of a pair has right
    only_second: str
    only: str  # what those columns count
    pictures: str  # which pictures are shown, and in which order
    is_share: bool  # metrics lie in [0, 1]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one experiment says of a picture."""

    experiment: str
    label: str  # the class, or the number
    score: float | None  # of the class
    is_right: bool | None  # None: a number is more or less right


class JudgedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A test picture with every experiment's answer."""

    image_id: str
    region: int | None
    truth: str
    picture: str  # `data:` address
    answers: list[Answer]


class Answers(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What the experiments of a task say of test; mappings are by their names."""

    words: TaskWords
    classes: Sequence[str]
    resampled: Mapping[str, Resampled]
    pictures: Sequence[JudgedPicture]  # of classifiers and regressors
    scenes: Sequence[Scene]  # of detectors
