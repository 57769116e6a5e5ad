"""Declarations of several files as one: nothing of them is lost, and what contradicts is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.formats.via.declared_union import unite_declared
from cnnpipe.formats.via.records import DeclaredAttribute


def radio(options: dict[str, str], **changes: Any) -> DeclaredAttribute:
    return DeclaredAttribute(**({"type": "radio", "options": options} | changes))


@pytest.mark.parametrize(
    ("one", "other", "options", "told"),
    [
        pytest.param(radio({"0": "a"}), radio({"0": "a"}), {"0": "a"}, [], id="the same"),
        pytest.param(radio({"0": "a"}), radio({"1": "b"}), {"0": "a", "1": "b"}, [], id="more options"),
        pytest.param(radio({"0": ""}), radio({"0": "a"}), {"0": "a"}, [], id="described later"),
        pytest.param(radio({"0": "a"}), radio({"0": ""}), {"0": "a"}, [], id="described before"),
        pytest.param(radio({"0": "a"}), radio({"0": " a"}), {"0": "a"}, [], id="blanks"),
        pytest.param(
            radio({"0": "a"}),
            radio({"0": "b"}),
            {"0": "a"},
            ["option '0' means 'b', but 'a' in a file before it"],
            id="described in two ways",
        ),
        pytest.param(
            radio({"0": "a"}),
            radio({"0": "a"}, type="checkbox"),
            {"0": "a"},
            ["is a checkbox, but a radio in a file before it"],
            id="two types",
        ),
    ],
)
def test_two_declarations_are_joined(
    one: DeclaredAttribute, other: DeclaredAttribute, options: dict[str, str], told: list[str]
) -> None:
    files = [("1.json", {"region": {"class": one}}), ("2.json", {"region": {"class": other}})]
    united, findings = unite_declared(files)  # type: ignore[arg-type]
    assert (united.region["class"].type, united.region["class"].options) == ("radio", options)
    assert [(f.code, f.where) for f in findings] == [("attribute-conflict", "2.json")] * len(told)
    assert all(part in finding.what for part, finding in zip(told, findings, strict=True))


def test_attributes_of_regions_and_files_are_apart() -> None:
    one, other = radio({"0": "a"}), radio({"0": "b"})
    united, findings = unite_declared([("1.json", {"region": {"x": one}, "file": {"x": other}})])
    assert (united.region, united.file, findings) == ({"x": one}, {"x": other}, [])


OPTIONS = st.dictionaries(st.sampled_from("01"), st.sampled_from(["", "a", "b"]))


@given(st.lists(OPTIONS, min_size=1, max_size=4))
def test_every_option_is_kept_with_the_first_description_there_is(files: list[dict[str, str]]) -> None:
    united, _ = unite_declared((str(n), {"region": {"x": radio(each)}}) for n, each in enumerate(files))
    expected = {
        option: next((each[option] for each in files if each.get(option)), "")
        for option in dict.fromkeys(option for each in files for option in each)
    }
    assert united.region["x"].options == expected
