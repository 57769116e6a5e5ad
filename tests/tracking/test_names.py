"""Names as MLflow takes them, judged by MLflow's own check."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from cnnpipe.tracking.names import mlflow_name

# full of what MLflow refuses, and of what an escape looks like
awkward = st.text(st.sampled_from("ab/.:+%() \n靴ाé'u0"), min_size=1, max_size=12)
names = st.one_of(awkward, st.text(min_size=1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("val/accuracy", "val/accuracy"),
        ("test/f1/靴", "test/f1/靴"),
        ("test/f1/c++", "test/f1/c:plus sign::plus sign:"),
        ("test/f1/50%", "test/f1/50:percent sign:"),
        ("test/f1/a(b)", "test/f1/a:left parenthesis:b:right parenthesis:"),
        ("a:b", "a:colon:b"),
        ("test/f1/किताब", "test/f1/क:devanagari vowel sign i:त:devanagari vowel sign aa:ब"),
        ("a\n", "a:u000a:"),
        ("test/f1/", "test/f1:solidus:"),
        ("/a//b", ":solidus:a/:solidus:b"),
        ("test/f1/..", "test/f1/:full stop::full stop:"),
        ("v1.0/.hidden", "v1.0/.hidden"),
    ],
)
def test_refused_characters_are_written_out(name: str, expected: str) -> None:
    assert mlflow_name(name) == expected


@given(names)
@example("." * 3)
@example("\ud800")
@example("%" * 200)
@example("/" * 200)
def test_mlflow_takes_every_name(name: str) -> None:
    encoded = mlflow_name(name)
    _validate_metric_name(encoded)  # type: ignore[no-untyped-call]
    _validate_param_name(encoded)  # type: ignore[no-untyped-call]
    assert len(encoded) <= 250


@given(names, names)
@example("a+", "a:plus sign:")
@example("a/", "a:solidus:")
@example("x" * 300, "x" * 301)
@example("x" * 300, mlflow_name("x" * 300))
def test_no_two_names_are_given_the_same_one(name: str, other: str) -> None:
    assert (mlflow_name(name) == mlflow_name(other)) == (name == other)


def test_the_check_is_the_one_that_refuses_plain_names() -> None:
    with pytest.raises(Exception, match="Invalid value"):
        _validate_metric_name("c++")  # type: ignore[no-untyped-call]
