"""Who becomes champion: the rule as a table, its laws, and the words in which it is told."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.evaluation.comparison import Measured
from cnnpipe.evaluation.promotion import (
    Contest,
    Standing,
    TaskDecision,
    challenger_of,
    mirrored,
    reason_of,
    said_of,
    verdict_of,
)

NEW = Standing(experiment="lenet", signature="new", val=Measured(value=0.8), test=Measured(value=0.79))
OLD = Standing(experiment="lite0", signature="old", version=3)


def contest(low: float | None, value: float = 0.1, high: float | None = 0.2) -> Contest:
    return Contest(difference=Measured(value=value, ci_low=low, ci_high=high if low is not None else None))


@pytest.mark.parametrize(
    ("champion", "compared", "margin", "verdict"),
    [
        (None, None, 0.0, "first"),
        (msgspec.structs.replace(OLD, signature="new"), None, 0.0, "kept"),
        (OLD, contest(0.05), 0.0, "promoted"),
        (OLD, contest(0.05), 0.04, "promoted"),
        (OLD, contest(0.05), 0.05, "refused"),
        (OLD, contest(0.0), 0.0, "refused"),
        (OLD, contest(-0.01), 0.0, "refused"),
        (OLD, contest(-0.2, value=-0.1, high=-0.05), 0.0, "refused"),
        (OLD, contest(None), 0.0, "refused"),
        (OLD, Contest(difference=None), 0.0, "refused"),
        (OLD, Contest(obstacle="other classes"), 0.0, "refused"),
        (OLD, None, 0.0, "refused"),
        (OLD, msgspec.structs.replace(contest(0.0, value=0.0, high=0.0), is_same_model=True), 0.0, "kept"),
    ],
    ids=[
        "no-champion",
        "same-training",
        "clear-lead",
        "lead-above-margin",
        "lead-at-margin",
        "interval-from-zero",
        "unsure",
        "behind",
        "no-interval",
        "undefined",
        "obstacle",
        "not-compared",
        "same-model",
    ],
)
def test_verdict(champion: Standing | None, compared: Contest | None, margin: float, verdict: str) -> None:
    assert verdict_of(NEW, champion, compared, margin=margin, metric="accuracy") == verdict


@pytest.mark.parametrize(
    "compared", [contest(-0.2), Contest(obstacle="x"), None], ids=["behind", "x", "none"]
)
def test_a_person_is_asked_for_no_reason(compared: Contest | None) -> None:
    assert verdict_of(NEW, OLD, compared, margin=0.9, metric="accuracy", by_person=True) == "promoted"
    assert verdict_of(NEW, None, compared, margin=0.9, metric="accuracy", by_person=True) == "first"
    same = msgspec.structs.replace(OLD, signature=NEW.signature)
    assert verdict_of(NEW, same, None, margin=0.9, metric="accuracy", by_person=True) == "kept"


ends = st.tuples(*[st.floats(-1, 1)] * 3).map(sorted)
margins = st.floats(0, 1)


@given(ends, margins, margins)
def test_a_larger_margin_promotes_nobody_whom_a_smaller_refuses(
    interval: list[float], one: float, other: float
) -> None:
    low, value, high = interval
    compared = Contest(difference=Measured(value=value, ci_low=low, ci_high=high))
    smaller, larger = sorted([one, other])
    if verdict_of(NEW, OLD, compared, margin=larger, metric="accuracy") == "promoted":
        assert verdict_of(NEW, OLD, compared, margin=smaller, metric="accuracy") == "promoted"
        assert value > larger


@given(ends, margins)
def test_of_two_at_most_one_may_take_the_others_place(interval: list[float], margin: float) -> None:
    low, value, high = interval
    difference = Measured(value=value, ci_low=low, ci_high=high)
    back = mirrored(difference)
    assert mirrored(back) == difference
    assert back.ci_low is not None
    assert back.ci_high is not None
    assert back.ci_low <= back.value <= back.ci_high
    both = [
        verdict_of(NEW, OLD, Contest(difference=one), margin=margin, metric="accuracy")
        for one in (difference, back)
    ]
    assert both.count("promoted") <= 1


def test_challenger_is_the_best_other_one_on_val() -> None:
    others = [
        Standing(experiment=name, signature=name, val=None if val is None else Measured(value=val))
        for name, val in {"a": 0.5, "b": 0.9, "c": None, "d": 0.7, "e": 0.7}.items()
    ]
    assert challenger_of(others[1], others, metric="accuracy") == others[3]
    assert challenger_of(others[0], others, metric="accuracy") == others[1]
    assert challenger_of(others[1], [others[1], others[2]], metric="accuracy") is None
    by_hand = Standing(experiment="version 3", signature="", val=Measured(value=1.0))
    assert (
        challenger_of(by_hand, [*others, by_hand], metric="accuracy") == others[1]
    )  # nobody challenges himself


@pytest.mark.parametrize(
    ("champion", "compared", "told"),
    [
        (
            OLD,
            contest(-0.021, value=0.012, high=0.043),
            "classify: lite0 stays champion (version 3): lenet leads by 0.012 on test, "
            "interval -0.021 to 0.043 does not surpass the margin 0.0",
        ),
        (
            OLD,
            contest(-0.2, value=-0.1, high=-0.05),
            "classify: lite0 stays champion (version 3): lenet is behind by 0.100 on test, "
            "interval -0.200 to -0.050 does not surpass the margin 0.0",
        ),
        (
            OLD,
            contest(0.05),
            "classify: lenet is the new champion (version 4) in place of lite0 (version 3): "
            "lenet leads by 0.100 on test, interval 0.050 to 0.200 surpasses the margin 0.0",
        ),
        (
            None,
            None,
            "classify: lenet is the first champion (version 4): there was none; accuracy 0.800 on val, "
            "0.790 on test",
        ),
        (
            OLD,
            Contest(obstacle="lite0 knows other classes"),
            "classify: lite0 stays champion (version 3): lenet is the best on val, "
            "but lite0 knows other classes; `cnnpipe register --promote lenet` makes it the champion "
            "all the same",
        ),
        (
            OLD,
            contest(None),
            "classify: lite0 stays champion (version 3): lenet leads by 0.100 on test, without an interval: "
            "all of test is one group",
        ),
        (
            OLD,
            Contest(),
            "classify: lite0 stays champion (version 3): lenet cannot be compared on test: the metric is "
            "undefined there",
        ),
    ],
    ids=["unsure", "behind", "promoted", "first", "obstacle", "one-group", "undefined"],
)
def test_a_decision_is_told_in_one_line(
    champion: Standing | None, compared: Contest | None, told: str
) -> None:
    verdict = verdict_of(NEW, champion, compared, margin=0.0, metric="accuracy")
    is_new = verdict in ("first", "promoted")
    decision = TaskDecision(
        task="classify",
        model="x-classify",
        decision=verdict,
        by="gate",
        candidate=NEW,
        champion=msgspec.structs.replace(NEW, version=4) if is_new or champion is None else champion,
        challenger=None,
        former=champion if verdict == "promoted" else None,
        metric="accuracy",
        difference=None,
        margin=0.0,
        data_sha256="",
        reason=reason_of(verdict, NEW, compared, metric="accuracy", margin=0.0),
        basis="",
    )
    assert said_of(decision) == told


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [(-3.0, -1.0, 0.5, "promoted"), (-3.0, -1.0, 1.5, "refused"), (1.0, 3.0, 0.0, "refused")],
)
def test_of_errors_the_smaller_leads(low: float, high: float, margin: float, verdict: str) -> None:
    compared = Contest(difference=Measured(value=(low + high) / 2, ci_low=low, ci_high=high))
    assert verdict_of(NEW, OLD, compared, margin=margin, metric="mae") == verdict
    words = reason_of("refused", NEW, compared, metric="mae", margin=margin)
    assert ("leads by 2.000 on test, interval 1.000 to 3.000" in words) == (high < 0)
    assert ("is behind by 2.000" in words) == (low > 0)


def test_of_errors_the_smallest_challenges() -> None:
    others = [
        Standing(experiment=name, signature=name, val=Measured(value=value))
        for name, value in {"a": 3.0, "b": 1.0, "c": 2.0}.items()
    ]
    assert challenger_of(others[0], others, metric="mae") == others[1]
    assert challenger_of(others[0], others, metric="r2") == others[2]
