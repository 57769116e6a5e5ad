"""Champion and challenger: what a gate decides of one task, by which rule, and in which words.

Chosen on val, reported on test: the candidate is the best on val, and takes the champion's place only where
its lead on test surpasses the margin with the whole interval. Of errors, which are better when smaller, the
lead is by how much the candidate's is smaller.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from cnnpipe.evaluation.comparison import Measured
from cnnpipe.params.watching import is_better_when_smaller

Verdict = Literal["first", "promoted", "kept", "refused"]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """registered.json: what was proposed. A function of the files alone, whatever the registry holds."""

    experiments: dict[str, str]  # name -> signature of its training, each with its run in MLflow
    candidates: dict[str, str]  # task -> the experiment that is best on val


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a decision: which training, its version in the registry, its worth on today's data."""

    experiment: str
    signature: str  # empty: a model that a person registered without saying which training it is of
    version: int | None = None  # None: it is in no registry
    val: Measured | None = None  # None: not judged on today's data, or undefined there
    test: Measured | None = None


class TaskDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided of one task, and on which grounds."""

    task: str
    model: str  # its name in the registry
    decision: Verdict  # promoted: the candidate took the champion's place; kept: it is the champion already
    by: Literal["gate", "person"]  # person: `cnnpipe register --promote`
    candidate: Standing
    champion: Standing  # from now on
    challenger: Standing | None  # the best other one on val
    former: Standing | None  # whose place was taken
    metric: str
    difference: Measured | None  # of the metric on test, candidate minus former; None: not compared
    margin: float
    data_sha256: str  # of the view.json on which all of them were judged
    reason: str
    basis: str  # digest of everything from the files that the decision depends on


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """decision.json: what was decided last. It depends on what the registry held: no output of DVC."""

    registry: str  # its address, without user and password
    tasks: dict[str, TaskDecision]


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A champion beside the candidate, on the same data; or why they cannot be compared."""

    val: Measured | None = None  # the champion's
    test: Measured | None = None
    difference: Measured | None = None  # on test, candidate minus champion
    is_same_model: bool = False  # other training, equal weights
    obstacle: str | None = None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the registry, judged against the champion that stood there."""

    model: str  # name in the registry
    metric: str  # of val and test
    expected: int | None  # version of that champion; None: there was none
    champion: Standing  # to be
    challenger: Standing | None
    tags: dict[str, str]  # of the version that becomes champion; none where it is that already


class Settled(NamedTuple):
    """The versions of a proposal that was carried out."""

    champion: int
    challenger: int | None


def verdict_of(  # noqa: PLR0913 (each decides)
    candidate: Standing,
    champion: Standing | None,
    contest: Contest | None,
    *,
    margin: float,
    metric: str,
    by_person: bool = False,
) -> Verdict:
    """Return what becomes of a candidate.

    Args:
        candidate: the best on val, or whom a person named.
        champion: who stands there now, if anyone.
        contest: the two of them, compared; None: there is no need.
        margin: what the lower end of the lead must surpass.
        metric: that decides.
        by_person: the candidate takes the place whatever the difference is.
    """
    if champion is None:
        return "first"
    if champion.signature == candidate.signature or (contest is not None and contest.is_same_model):
        return "kept"
    if by_person:
        return "promoted"
    if contest is None or contest.obstacle is not None or contest.difference is None:
        return "refused"
    low = _lead(contest.difference, metric).ci_low
    return "promoted" if low is not None and low > margin else "refused"


def reason_of(  # noqa: PLR0913 (each says a part of the sentence)
    verdict: Verdict,
    candidate: Standing,
    contest: Contest | None,
    *,
    metric: str,
    margin: float,
    by_person: bool = False,
) -> str:
    """Return why, in words that follow "<experiment> stays champion (version 3): "."""
    if by_person:
        return f"set by hand; {worth_of(candidate, metric)}"
    if verdict == "first":
        return f"there was none; {worth_of(candidate, metric)}"
    if verdict == "kept" and contest is not None and contest.is_same_model:
        return f"{candidate.experiment}, trained anew and best on val, is the same model"
    if verdict == "kept":
        return f"it is the best on val; {worth_of(candidate, metric)}"
    name = candidate.experiment
    if contest is not None and contest.obstacle is not None:
        way_out = f"`cnnpipe register --promote {name}` makes it the champion all the same"
        return f"{name} is the best on val, but {contest.obstacle}; {way_out}"
    difference = None if contest is None else contest.difference
    return f"{name} {lead_of(difference, metric=metric, margin=margin)}"


def lead_of(difference: Measured | None, *, metric: str, margin: float) -> str:
    """Return how far ahead a candidate is on test, and whether that is enough."""
    if difference is None:
        return "cannot be compared on test: the metric is undefined there"
    lead = _lead(difference, metric)
    ahead = "leads" if lead.value >= 0 else "is behind"
    said = f"{ahead} by {abs(lead.value):.3f} on test"
    if lead.ci_low is None or lead.ci_high is None:
        return f"{said}, without an interval: all of test is one group"
    passes = "surpasses" if lead.ci_low > margin else "does not surpass"
    return f"{said}, interval {lead.ci_low:.3f} to {lead.ci_high:.3f} {passes} the margin {margin}"


def worth_of(standing: Standing, metric: str) -> str:
    """Return e.g. "accuracy 0.812 on val, 0.790 on test"."""
    val, test = ("undefined" if one is None else f"{one.value:.3f}" for one in (standing.val, standing.test))
    return f"{metric} {val} on val, {test} on test"


def said_of(decision: TaskDecision) -> str:
    """Return a decision as one line for a person."""
    champion, former = decision.champion, decision.former
    becomes = {"first": "is the first champion", "promoted": "is the new champion"}
    words = becomes.get(decision.decision, "stays champion")
    before = ""
    if decision.decision == "promoted" and former is not None:
        before = f" in place of {former.experiment} (version {former.version})"
    place = f"{champion.experiment} {words} (version {champion.version}){before}"
    return f"{decision.task}: {place}: {decision.reason}"


def challenger_of(champion: Standing, others: Sequence[Standing], *, metric: str) -> Standing | None:
    """Return the best other one on val by the metric; of equal ones the first."""
    judged = [
        (one.val.value, one)
        for one in others
        if one.val is not None and one is not champion and one.signature != champion.signature
    ]
    best = min if is_better_when_smaller(metric) else max
    return best(judged, key=lambda pair: pair[0])[1] if judged else None


def _lead(difference: Measured, metric: str) -> Measured:
    """Return by how much a candidate is better, given candidate minus champion."""
    return mirrored(difference) if is_better_when_smaller(metric) else difference


def mirrored(difference: Measured) -> Measured:
    """Return the difference the other way round."""
    low, high = difference.ci_low, difference.ci_high
    return Measured(
        value=-difference.value,
        ci_low=None if high is None else -high,
        ci_high=None if low is None else -low,
    )
