"""Stage `compare`: every experiment side by side, with intervals and paired differences.

Experiments are ranked by one metric on val; what is said of their differences is of test. A pair is compared
by the bootstrap of its difference over the same samples; experiments that were judged on different data are
not paired, and the page says so.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from cnnpipe import files
from cnnpipe.datasets.packs import open_view, picture_at, positions_of
from cnnpipe.datasets.records import VIEW_FILE
from cnnpipe.evaluation import intervals
from cnnpipe.evaluation.agreement import telling_samples
from cnnpipe.evaluation.arrays import Floats, Scored, stack
from cnnpipe.evaluation.comparison import (
    COMPARISON_FILE,
    ComparedExperiment,
    Comparison,
    Measured,
    PairedDifference,
    measured,
)
from cnnpipe.evaluation.predictions import METRICS_FILE, PREDICTIONS_FILE, Prediction
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.reports.comparison import Answer, ComparisonReport, JudgedPicture, comparison_page
from cnnpipe.reports.thumbnails import thumbnail_uri
from cnnpipe.training.records import RUN_FILE, RunRecord

PAGE_FILE: Final = "compare.html"
_NUM_PICTURES: Final = 24  # shown with every experiment's answer


class CompareInputs(NamedTuple):
    """Where the experiments are, and their pictures."""

    results: Path  # results/, a folder per experiment
    models: Path  # models/, the same
    views: Path  # data/augmented/, a folder per task


class _Judged(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What an experiment has left."""

    name: str
    run: RunRecord
    data_sha256: str  # of the view
    metrics: dict[str, float]
    predictions: list[Prediction]  # of test
    scored: Scored  # the same as arrays


def compare(
    inputs: CompareInputs, experiments: Mapping[str, ExperimentParams], out: Path, params: CompareParams
) -> Comparison:
    """Write compare.json and compare.html to `out`; return what compare.json holds.

    Args:
        inputs: what `train` and `evaluate` wrote, and the views.
        experiments: those to compare, of params.yaml; folders of others are not looked at.
        out: comparison/, replaced as a whole.
        params: section `compare`.

    Raises:
        DataError: an experiment is not trained or not judged yet, or a file of it is broken.
    """
    judged = {name: _read(name, inputs) for name in sorted(experiments)}
    ranked = _ranked(list(judged.values()), params.classify)
    in_order = [judged[experiment.name] for experiment in ranked]
    comparison = Comparison(experiments=ranked, pairs=_pairs(in_order, params), notes=_notes(ranked))
    view = inputs.views / "classify"
    shown = _judged_on(view, in_order)
    report = ComparisonReport(
        comparison=comparison,
        params=params,
        metrics={one.name: one.metrics for one in in_order},
        settings={one.name: one.run.params for one in in_order},
        classes=list(dict.fromkeys(label for one in in_order for label in one.scored.classes)),
        num_samples={one.name: len(one.predictions) for one in in_order},
        pictures=_pictures(view, shown) if shown else [],
    )
    with files.whole_folder(out) as folder:
        files.write_json(folder / COMPARISON_FILE, comparison)
        files.write_text(folder / PAGE_FILE, comparison_page(report))
    return comparison


def _read(name: str, inputs: CompareInputs) -> _Judged:
    model, results = inputs.models / name, inputs.results / name
    spec = files.read_json(model / MODEL_FILE, ModelSpec)
    predictions = files.read_jsonl(results / PREDICTIONS_FILE, Prediction)
    return _Judged(
        name=name,
        run=files.read_json(model / RUN_FILE, RunRecord),
        data_sha256=spec.data_sha256,
        metrics=files.read_json(results / METRICS_FILE, dict[str, float]),
        predictions=predictions,
        scored=stack(predictions, spec.classes),
    )


def _ranked(judged: Sequence[_Judged], metric: str) -> list[ComparedExperiment]:
    """Return the experiments, the best on val first; those without a value there last; equal ones by name."""
    values = {one.name: one.metrics.get(f"val/{metric}") for one in judged}
    experiments = [
        ComparedExperiment(
            name=one.name,
            task=one.run.task,
            network=one.run.network,
            num_parameters=one.run.num_parameters,
            best_epoch=one.run.best_epoch,
            stop_reason=one.run.stop_reason,
            data_sha256=one.data_sha256,
            metric=metric,
            val=measured(one.metrics, f"val/{metric}"),
            test=measured(one.metrics, f"test/{metric}"),
            rank=_rank(values[one.name], list(values.values())),
        )
        for one in judged
    ]
    return sorted(experiments, key=lambda one: (one.rank is None, one.rank, one.name))


def _rank(value: float | None, values: Sequence[float | None]) -> int | None:
    if value is None:
        return None
    return 1 + sum(other > value for other in values if other is not None)


def _notes(ranked: Sequence[ComparedExperiment]) -> list[str]:
    notes = [
        f"{one.name} has no {one.metric} on val, so it has no rank." for one in ranked if one.val is None
    ]
    notes += [
        f"{one.name} has no {one.metric} on test, so it is in no pair." for one in ranked if one.test is None
    ]
    by_data: dict[str, list[str]] = {}
    for one in ranked:
        by_data.setdefault(one.data_sha256, []).append(one.name)
    if len(by_data) > 1:
        groups = "; ".join(", ".join(names) for names in by_data.values())
        notes.append(
            f"Judged on different data: {groups}. Their values are of different samples, and only experiments"
            " of the same data are compared pair by pair. dvc repro brings all to the data as it is now."
        )
    return notes


def _pairs(judged: Sequence[_Judged], params: CompareParams) -> list[PairedDifference]:
    """Return the difference of each two that were judged on the same samples."""
    resampled = {
        one.name: intervals.bootstrap(one.scored, num_resamples=params.bootstrap_samples, seed=params.seed)
        for one in judged
    }
    metric = params.classify
    pairs = []
    for first, second in combinations([one for one in judged if f"test/{metric}" in one.metrics], 2):
        if first.data_sha256 == second.data_sha256:
            differences_B = resampled[first.name][metric] - resampled[second.name][metric]
            pairs.append(_pair(first, second, differences_B, params))
    return pairs


def _pair(first: _Judged, second: _Judged, differences_B: Floats, params: CompareParams) -> PairedDifference:
    name = f"test/{params.classify}"
    is_right, is_other_right = (one.scored.predicted == one.scored.truth for one in (first, second))
    has_interval = intervals.has_intervals(first.scored.group)
    interval = intervals.percentile_interval(differences_B, confidence=params.confidence)
    return PairedDifference(
        task=first.run.task,
        metric=params.classify,
        first=first.name,
        second=second.name,
        difference=Measured(
            value=first.metrics[name] - second.metrics[name],
            ci_low=interval.low if interval and has_interval else None,
            ci_high=interval.high if interval and has_interval else None,
        ),
        only_first_right=int((is_right & ~is_other_right).sum()),
        only_second_right=int((is_other_right & ~is_right).sum()),
    )


def _judged_on(view: Path, judged: Sequence[_Judged]) -> list[_Judged]:
    """Return those that were judged on the view as it is now: its pictures are what they saw."""
    current = files.sha256_of_file(view / VIEW_FILE)
    return [one for one in judged if one.data_sha256 == current]


def _pictures(view: Path, judged: Sequence[_Judged]) -> list[JudgedPicture]:
    opened = open_view(view)
    positions = positions_of(opened, "test")
    pictures = []
    for index in telling_samples([one.scored for one in judged], limit=_NUM_PICTURES):
        sample = opened.samples[positions[index]]
        pictures.append(
            JudgedPicture(
                image_id=sample.image_id,
                region=sample.region,
                truth=sample.label,
                picture=thumbnail_uri(picture_at(opened, positions[index])),
                answers=[_answer(one, index) for one in judged],
            )
        )
    return pictures


def _answer(one: _Judged, index: int) -> Answer:
    predicted = int(one.scored.predicted[index])
    return Answer(
        experiment=one.name,
        label=one.scored.classes[predicted],
        score=float(one.scored.scores[index, predicted]),
        is_right=predicted == int(one.scored.truth[index]),
    )
