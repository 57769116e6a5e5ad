"""Stage `compare`: every experiment side by side, with intervals and paired differences.

Experiments of a task are ranked by one metric on val; what is said of their differences is of test. A pair is
compared by the bootstrap of its difference over the same samples; experiments that were judged on different
data are not paired, and the page says so.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from cnnpipe import files
from cnnpipe.datasets.records import VIEW_FILE
from cnnpipe.evaluation.comparison import (
    COMPARISON_FILE,
    ComparedExperiment,
    Comparison,
    PairedDifference,
    measured,
)
from cnnpipe.evaluation.pairing import difference_of
from cnnpipe.evaluation.predictions import METRICS_FILE
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.experiment import ExperimentParams
from cnnpipe.params.watching import is_better_when_smaller
from cnnpipe.reports.comparison import ComparisonReport, TaskSection, comparison_page
from cnnpipe.reports.contenders import Answers, Contender
from cnnpipe.tasks.classify import comparison as classify
from cnnpipe.tasks.detect import comparison as detect
from cnnpipe.tasks.regress import comparison as regress
from cnnpipe.training.records import RUN_FILE, RunRecord

PAGE_FILE: Final = "compare.html"

_ANSWERS: Final[Mapping[str, Callable[[Sequence[Contender], str, Path, CompareParams], Answers]]] = (
    MappingProxyType(
        {"classify": classify.answers_of, "detect": detect.answers_of, "regress": regress.answers_of}
    )
)


class CompareInputs(NamedTuple):
    """Where the experiments are, and their pictures."""

    results: Path  # results/, a folder per experiment
    models: Path  # models/, the same
    views: Path  # data/augmented/, a folder per task


class _Task(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The experiments of one task, compared."""

    experiments: list[ComparedExperiment]
    pairs: list[PairedDifference]
    notes: list[str]
    section: TaskSection


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
    by_task = {
        task: names
        for task in _ANSWERS
        if (names := sorted(name for name, of in experiments.items() if of.task == task))
    }
    tasks = [_compare_task(task, names, inputs, params) for task, names in by_task.items()]
    comparison = Comparison(
        experiments=[experiment for task in tasks for experiment in task.experiments],
        pairs=[pair for task in tasks for pair in task.pairs],
        notes=[note for task in tasks for note in task.notes],
    )
    report = ComparisonReport(
        sections=[task.section for task in tasks], notes=comparison.notes, params=params
    )
    with files.whole_folder(out) as folder:
        files.write_json(folder / COMPARISON_FILE, comparison)
        files.write_text(folder / PAGE_FILE, comparison_page(report))
    return comparison


def _compare_task(task: str, names: Sequence[str], inputs: CompareInputs, params: CompareParams) -> _Task:
    view, metric = inputs.views / task, getattr(params, task)
    current = files.sha256_of_file(view / VIEW_FILE)
    contenders = {name: _read(name, inputs, current=current) for name in names}
    ranked = _ranked(list(contenders.values()), metric)
    in_order = [contenders[experiment.name] for experiment in ranked]
    answers = _ANSWERS[task](in_order, metric, view, params)
    pairs = _pairs(in_order, answers, metric, params)
    section = TaskSection(
        task=task,
        experiments=ranked,
        pairs=pairs,
        answers=answers,
        metrics={one.name: one.metrics for one in in_order},
        settings={one.name: one.run.params for one in in_order},
    )
    return _Task(experiments=ranked, pairs=pairs, notes=_notes(ranked), section=section)


def _read(name: str, inputs: CompareInputs, *, current: str) -> Contender:
    model, results = inputs.models / name, inputs.results / name
    spec = files.read_json(model / MODEL_FILE, ModelSpec)
    return Contender(
        name=name,
        results=results,
        run=files.read_json(model / RUN_FILE, RunRecord),
        spec=spec,
        metrics=files.read_json(results / METRICS_FILE, dict[str, float]),
        is_current=spec.data_sha256 == current,
    )


def _ranked(contenders: Sequence[Contender], metric: str) -> list[ComparedExperiment]:
    """Return the experiments, the best on val first; those without a value there last; equal ones by name."""
    values = {one.name: one.metrics.get(f"val/{metric}") for one in contenders}
    experiments = [
        ComparedExperiment(
            name=one.name,
            task=one.run.task,
            network=one.run.network,
            num_parameters=one.run.num_parameters,
            best_epoch=one.run.best_epoch,
            stop_reason=one.run.stop_reason,
            data_sha256=one.spec.data_sha256,
            metric=metric,
            val=measured(one.metrics, f"val/{metric}"),
            test=measured(one.metrics, f"test/{metric}"),
            rank=_rank(metric, values[one.name], list(values.values())),
        )
        for one in contenders
    ]
    return sorted(experiments, key=lambda one: (one.rank is None, one.rank, one.name))


def _rank(metric: str, value: float | None, values: Sequence[float | None]) -> int | None:
    if value is None:
        return None
    sign = -1.0 if is_better_when_smaller(metric) else 1.0
    return 1 + sum(sign * other > sign * value for other in values if other is not None)


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


def _pairs(
    contenders: Sequence[Contender], answers: Answers, metric: str, params: CompareParams
) -> list[PairedDifference]:
    """Return the difference of each two that were judged on the same samples."""
    with_metric = [one for one in contenders if f"test/{metric}" in one.metrics]
    return [
        _pair(first, second, answers, metric, params)
        for first, second in combinations(with_metric, 2)
        if first.spec.data_sha256 == second.spec.data_sha256
    ]


def _pair(
    first: Contender, second: Contender, answers: Answers, metric: str, params: CompareParams
) -> PairedDifference:
    of_first, of_second = answers.resampled[first.name], answers.resampled[second.name]
    value = first.metrics[f"test/{metric}"] - second.metrics[f"test/{metric}"]
    return PairedDifference(
        task=first.run.task,
        metric=metric,
        first=first.name,
        second=second.name,
        difference=difference_of(of_first, of_second, value=value, confidence=params.confidence),
        only_first_right=int((of_first.merit > of_second.merit).sum()),
        only_second_right=int((of_second.merit > of_first.merit).sum()),
    )
