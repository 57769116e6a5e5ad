"""Names as MLflow takes them, judged by MLflow's own check."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.utils.validation import _validate_metric_name, _validate_model_name, _validate_param_name

from cnnpipe.tracking.names import mlflow_name, model_name

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


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ("fruit", "fruit-classify"),
        ("Fruit_2.0-b", "Fruit_2.0-b-classify"),
        ("靴", "靴-classify"),
        ("shared/fruit", "shared_fruit.8233f7c28088-classify"),
        ("..", "_.5ec1f7e700f3-classify"),
    ],
)
def test_model_of_a_task_is_named_by_its_project(project: str, expected: str) -> None:
    assert model_name(project, "classify") == expected


@given(names)
@example("x" * 300)
@example("a@b?c#d%2F")
@example("-")
def test_mlflow_takes_every_name_of_a_model(project: str) -> None:
    name = model_name(project, "classify")
    _validate_model_name(name)
    assert len(f"{name}.gate.{'0' * 32}") <= 256
    by_alias, by_version = _parse_model_uri(f"models:/{name}@champion"), _parse_model_uri(f"models:/{name}/3")
    assert (by_alias.name, by_alias.alias) == (name, "champion")
    assert (by_version.name, by_version.version) == (name, "3")


@given(names, names, st.sampled_from(["classify", "detect"]))
@example("a/b", "a_b", "detect")
@example("x" * 300, "x" * 301, "detect")
def test_no_two_projects_share_a_model(project: str, other: str, task: str) -> None:
    assert (model_name(project, task) == model_name(other, task)) == (project == other)
    assert model_name(project, "classify") != model_name(other, "detect")
