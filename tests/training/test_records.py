"""A signature changes with what decides a training and with nothing else."""

from typing import Any

import pytest

from cnnpipe.training.records import flatten, signature_of

KNOWN: dict[str, Any] = {
    "stage": "train@lenet",
    "inputs": {"view.json": "ab"},
    "params": {"epochs": 4, "input.side_px": 16},
    "code": "cd",
}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"stage": "train@other"}, id="experiment"),
        pytest.param({"inputs": {"view.json": "ac"}}, id="data"),
        pytest.param({"params": {"epochs": 5, "input.side_px": 16}}, id="params"),
        pytest.param({"code": "ce"}, id="code"),
    ],
)
def test_a_change_shows(change: dict[str, Any]) -> None:
    assert signature_of(**(KNOWN | change)) != signature_of(**KNOWN)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"inputs": {"/elsewhere/view.json": "ab"}}, id="place of the data"),
        pytest.param({"params": {"input.side_px": 16, "epochs": 4}}, id="order of params"),
    ],
)
def test_what_decides_nothing_does_not_show(change: dict[str, Any]) -> None:
    assert signature_of(**(KNOWN | change)) == signature_of(**KNOWN)


def test_nested_params_are_flattened_with_dots() -> None:
    nested = {"a": 1, "b": {"c": [2], "d": {"e": None}}}
    assert flatten(nested) == {"a": 1, "b.c": [2], "b.d.e": None}
