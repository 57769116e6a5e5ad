"""Stage `register`: every experiment has its run in MLflow, and every task its champion in MLflow's registry.

Touches the outside: what it decides depends on who is champion there, so the decision is written beside the
stage's output, which is a function of the files alone. A store can be emptied at any time: stage `code` looks
at it and takes registered.json away where a run or a champion is missing, so that DVC runs this stage again.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from cnnpipe import files
from cnnpipe.datasets.records import VIEW_FILE
from cnnpipe.errors import BusyError, DataError, ModelError, ParamsError
from cnnpipe.evaluation import promotion
from cnnpipe.evaluation.comparison import COMPARISON_FILE, ComparedExperiment, Comparison, PairedDifference
from cnnpipe.evaluation.promotion import (
    Contest,
    Decision,
    Proposal,
    Registered,
    Settled,
    Standing,
    TaskDecision,
)
from cnnpipe.models.bundle import MODEL_FILE, ModelSpec
from cnnpipe.params.evaluate import CompareParams
from cnnpipe.params.load import did_you_mean
from cnnpipe.params.register import RegisterParams
from cnnpipe.tracking import place, quick
from cnnpipe.tracking.names import model_name
from cnnpipe.training.records import RUN_FILE, RunRecord

_TURNS: Final = 10  # other gates may move the champion as often while this one judges


class RegisterFiles(NamedTuple):
    """Where everything is."""

    models: Path  # models/, a folder per experiment
    results: Path  # results/, the same
    comparison: Path  # comparison/
    views: Path  # data/augmented/, a folder per task
    registered: Path  # JSON file to write, the output
    decision: Path  # JSON file to write: what was decided last


class Doors(NamedTuple):
    """What reaches MLflow and torch; called, and so imported, only when something is new."""

    # (model_dir, results_dir) of each experiment -> ids of their runs
    ensure_runs: Callable[[Iterable[tuple[Path, Path]]], list[str]]
    champion_of: Callable[[str], Standing | None]
    fetched_bundle: Callable[[str], AbstractContextManager[Path]]
    contest: Callable[[str, Path, Path, Path, CompareParams], Contest]  # the first argument is the task
    settle: Callable[[Proposal], Settled | None]


class GateParams(NamedTuple):
    """An older champion is judged anew in the way in which the candidates were compared."""

    register: RegisterParams
    compare: CompareParams


class _Gate(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One task: its candidate, and beside whom it stands."""

    task: str
    model: str  # its name in the registry
    metric: str
    candidate: Standing
    by_person: bool  # the candidate was named, and takes the place whatever the gate would say
    standings: list[Standing]  # of the current experiments, the best on val first
    pairs: list[PairedDifference]
    data_sha256: str  # on which the candidate was judged
    basis: str


def register(
    places: RegisterFiles, params: GateParams, doors: Doors, *, promote: str | None = None
) -> Decision:
    """Look after runs and champions, write what was decided, and then registered.json; return the decision.

    A task of which nothing is new keeps its last decision, and whoever is its champion by now.

    Args:
        places: what was trained, judged and compared, and where to write.
        params: sections `register` and `compare`.
        doors: to MLflow and torch.
        promote: an experiment to make the champion of its task, whatever the gate would say.

    Raises:
        StorageError: the store or the registry cannot be reached.
        DataError: a file of a training, of its results or of the comparison is missing or broken.
        ParamsError: there is no experiment of that name.
        BusyError: other gates move the champion all the time.
    """
    signatures = _look_after_runs(places, doors)
    comparison = files.read_json(places.comparison / COMPARISON_FILE, Comparison)
    _check_is_known(promote, comparison)
    gates = _gates(comparison, signatures, params, promote)
    registry = place.shown(place.tracking_uri())
    last = _last(places.decision, registry)
    tasks = {gate.task: last[gate.task] for gate in gates if _is_fresh(gate, last)}
    if len(tasks) < len(gates):
        # a gate that is killed half-way must not be taken for one that decided this before
        files.write_json(places.decision, Decision(registry=registry, tasks=tasks))
        new = [gate for gate in gates if gate.task not in tasks]
        tasks |= {gate.task: _decide(gate, places, params, doors) for gate in new}
    decision = Decision(registry=registry, tasks=tasks)
    files.write_json(places.decision, decision)
    candidates = {one.task: one.name for one in _best_first(comparison)}
    files.write_json(places.registered, Registered(experiments=signatures, candidates=candidates))
    return decision


def _look_after_runs(places: RegisterFiles, doors: Doors) -> dict[str, str]:
    """Find or rebuild the MLflow run of every experiment; return {experiment: signature}."""
    folders = {path.parent.name: path.parent for path in sorted(places.models.glob(f"*/{RUN_FILE}"))}
    signatures = {
        name: files.read_json(folder / RUN_FILE, RunRecord).signature for name, folder in folders.items()
    }
    if not quick.is_recorded(quick.wanted_runs(places.models, places.results)):
        doors.ensure_runs((folder, places.results / name) for name, folder in folders.items())
    return signatures


def _check_is_known(promote: str | None, comparison: Comparison) -> None:
    names = [one.name for one in comparison.experiments]
    if promote is not None and promote not in names:
        fix = f"{did_you_mean(promote, names)}the experiments that were compared are: {', '.join(names)}"
        raise ParamsError(promote, "is no experiment of the comparison", fix)


def _best_first(comparison: Comparison) -> list[ComparedExperiment]:
    """Return the best on val of each task; none where no experiment has a value there."""
    best: dict[str, ComparedExperiment] = {}
    for one in comparison.experiments:  # by rank; those without one come last
        if one.rank is not None:
            best.setdefault(one.task, one)
    return list(best.values())


def _gates(
    comparison: Comparison, signatures: Mapping[str, str], params: GateParams, promote: str | None
) -> list[_Gate]:
    chosen = {one.task: one for one in _best_first(comparison)}
    named = {one.task: one for one in comparison.experiments if one.name == promote}
    return [
        _gate(one, comparison, signatures, params, by_person=task in named)
        for task, one in (chosen | named).items()
    ]


def _gate(
    chosen: ComparedExperiment,
    comparison: Comparison,
    signatures: Mapping[str, str],
    params: GateParams,
    *,
    by_person: bool,
) -> _Gate:
    rows = [one for one in comparison.experiments if one.task == chosen.task]
    pairs = [pair for pair in comparison.pairs if pair.task == chosen.task]
    standings = {one.name: _standing(one, signatures) for one in rows}
    model = model_name(place.project(), chosen.task)
    grounds = [model, rows, list(standings.values()), pairs, params.register.margin]
    encoded = msgspec.json.encode([*grounds, params.compare.model_dump()], order="sorted")
    return _Gate(
        task=chosen.task,
        model=model,
        metric=chosen.metric,
        candidate=standings[chosen.name],
        by_person=by_person,
        standings=list(standings.values()),
        pairs=pairs,
        data_sha256=chosen.data_sha256,
        basis=hashlib.sha256(encoded).hexdigest(),
    )


def _standing(one: ComparedExperiment, signatures: Mapping[str, str]) -> Standing:
    if one.name not in signatures:
        fix = "run `dvc repro`, which trains and compares"
        raise DataError(one.name, "was compared, but is not in models/", fix)
    return Standing(experiment=one.name, signature=signatures[one.name], val=one.val, test=one.test)


def _last(path: Path, registry: str) -> Mapping[str, TaskDecision]:
    """Return what was decided last in that registry; nothing where that is not known."""
    try:
        last = files.read_json(path, Decision)
    except DataError:
        return {}
    return last.tasks if last.registry == registry else {}


def _is_fresh(gate: _Gate, last: Mapping[str, TaskDecision]) -> bool:
    """Whether just this was decided, and there still is a champion, be it one that a person chose since."""
    is_decided = gate.task in last and last[gate.task].basis == gate.basis
    return is_decided and not gate.by_person and quick.has_champions([gate.task])


def _decide(gate: _Gate, places: RegisterFiles, params: GateParams, doors: Doors) -> TaskDecision:
    """Judge against the champion and change the registry; again where another gate has moved it meanwhile."""
    for _ in range(_TURNS):
        champion = doors.champion_of(gate.model)
        contest = _contest(gate, champion, places, params, doors)
        decision = _judge(gate, champion, contest, params)
        settled = doors.settle(_proposal(decision, champion))
        if settled is not None:
            return _with_versions(decision, settled)
    what = "other gates moved the champion all the time"
    raise BusyError(f"model {gate.model}", what, "run `cnnpipe register` again")


def _contest(
    gate: _Gate, champion: Standing | None, places: RegisterFiles, params: GateParams, doors: Doors
) -> Contest | None:
    """Return candidate and champion, compared on the same data; None where there is no need."""
    if champion is None or champion.signature == gate.candidate.signature:
        return None
    current = next((one for one in gate.standings if one.signature == champion.signature), None)
    if current is not None:
        return _contest_of_pair(gate, current)
    if gate.by_person:
        return None
    return _contest_anew(gate, champion, places, params, doors)


def _contest_of_pair(gate: _Gate, champion: Standing) -> Contest:
    """Return what stage `compare` found of the two."""
    names = (gate.candidate.experiment, champion.experiment)
    for pair in gate.pairs:
        if {pair.first, pair.second} == set(names):
            is_in_order = pair.first == names[0]
            difference = pair.difference if is_in_order else promotion.mirrored(pair.difference)
            return Contest(val=champion.val, test=champion.test, difference=difference)
    obstacle = f"{champion.experiment} was judged on other data, or one of them has no {gate.metric} on test"
    return Contest(val=champion.val, test=champion.test, obstacle=obstacle)


def _contest_anew(
    gate: _Gate, champion: Standing, places: RegisterFiles, params: GateParams, doors: Doors
) -> Contest:
    """Judge an older champion on today's data, so that both are judged on the same."""
    view, name = places.views / gate.task, gate.candidate.experiment
    if files.sha256_of_file(view / VIEW_FILE) != gate.data_sha256:
        return Contest(obstacle=f"it was not judged on the data in {view} as it is now: run `dvc repro`")
    address = f"models:/{gate.model}/{champion.version}"
    try:
        with doors.fetched_bundle(address) as bundle:
            older, newer = _spec(bundle), _spec(places.models / name)
            if obstacle := _of_something_else(champion, older, newer):
                return Contest(obstacle=obstacle)
            contest = doors.contest(gate.task, bundle, places.results / name, view, params.compare)
    except ModelError as error:
        return Contest(obstacle=f"{champion.experiment} cannot be judged anew: {error.where} {error.what}")
    is_same = older == msgspec.structs.replace(newer, data_sha256=older.data_sha256)
    return msgspec.structs.replace(contest, is_same_model=is_same)


def _spec(folder: Path) -> ModelSpec:
    try:
        return files.read_json(folder / MODEL_FILE, ModelSpec)
    except DataError as error:
        raise ModelError(error.where, error.what, error.fix) from error


def _of_something_else(champion: Standing, older: ModelSpec, newer: ModelSpec) -> str | None:
    """Return why the champion cannot be judged on the candidate's data; None: it can."""
    if older.task == newer.task and newer.target is not None:
        if older.label_attribute == newer.label_attribute:
            return None
        what = f"{champion.experiment} predicts another attribute ({older.label_attribute})"
        return f"{what}: today's data has {newer.label_attribute}"
    if older.task == newer.task and older.classes == newer.classes:
        return None
    told = f"today's data has the classes {', '.join(newer.classes)}"
    return f"{champion.experiment} knows other classes ({', '.join(older.classes)}): {told}"


def _judge(
    gate: _Gate, champion: Standing | None, contest: Contest | None, params: GateParams
) -> TaskDecision:
    """Return the decision; some versions of the registry are still missing in it."""
    candidate, margin = gate.candidate, params.register.margin
    verdict = promotion.verdict_of(
        candidate, champion, contest, margin=margin, metric=gate.metric, by_person=gate.by_person
    )
    before = None if champion is None else _judged(champion, gate, contest)
    winner = candidate if before is None or verdict == "promoted" else before
    # a model that was trained anew to the same weights does not challenge itself
    others = [one for one in gate.standings if verdict != "kept" or one is not candidate]
    others += [before] if before is not None else []
    return TaskDecision(
        task=gate.task,
        model=gate.model,
        decision=verdict,
        by="person" if gate.by_person else "gate",
        candidate=candidate,
        champion=winner,
        challenger=promotion.challenger_of(winner, others, metric=gate.metric),
        former=before if verdict == "promoted" else None,
        metric=gate.metric,
        difference=None if contest is None else contest.difference,
        margin=margin,
        data_sha256=gate.data_sha256,
        reason=promotion.reason_of(
            verdict, candidate, contest, metric=gate.metric, margin=margin, by_person=gate.by_person
        ),
        basis=gate.basis,
    )


def _judged(champion: Standing, gate: _Gate, contest: Contest | None) -> Standing:
    """Return the champion with what it is worth on today's data, as far as that is known."""
    current = next((one for one in gate.standings if one.signature == champion.signature), None)
    known = current or contest
    if known is None:
        return champion
    return msgspec.structs.replace(champion, val=known.val, test=known.test)


def _proposal(decision: TaskDecision, champion: Standing | None) -> Proposal:
    is_new = decision.decision in ("first", "promoted")
    tags = {
        "cnnpipe.decision": decision.decision,
        "cnnpipe.decided_by": decision.by,
        "cnnpipe.reason": decision.reason,
    }
    return Proposal(
        model=decision.model,
        metric=decision.metric,
        expected=None if champion is None else champion.version,
        champion=decision.champion,
        challenger=decision.challenger,
        tags=tags if is_new else {},
    )


def _with_versions(decision: TaskDecision, settled: Settled) -> TaskDecision:
    """Return the decision with the versions that its models have in the registry."""
    champion = msgspec.structs.replace(decision.champion, version=settled.champion)
    challenger = decision.challenger
    if challenger is not None:
        challenger = msgspec.structs.replace(challenger, version=settled.challenger)
    registered = [one for one in (champion, challenger) if one is not None]
    versions = {one.signature: one.version for one in registered}
    candidate = decision.candidate
    return msgspec.structs.replace(
        decision,
        champion=champion,
        challenger=challenger,
        candidate=msgspec.structs.replace(candidate, version=versions.get(candidate.signature)),
    )
