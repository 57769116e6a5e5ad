"""Spellings become classes in the values and in the options; nothing else changes."""

from typing import Any

import pytest
from filed_entries import A, B, entry, file_of

from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.records import DeclaredAttribute, ViaFile
from cnnpipe.formats.via.relabel import relabel

MAPPING = {"sandiwch": "sandwich", "rubbish": None}
LABELLING = Labelling(attribute="class", mapping=MAPPING)


def values(file: ViaFile) -> list[Any]:
    return [region.attributes for entry in file.entries for region in entry.regions]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("sandiwch", {"class": "sandwich"}, id="mapped"),
        pytest.param(" sandiwch\n", {"class": "sandwich"}, id="blanks around it"),
        pytest.param("sandwich ", {"class": "sandwich "}, id="a class stays as it is written"),
        pytest.param("rubbish", {}, id="left out"),
        pytest.param({"class": {"sandiwch": True, "egg": True}}, None, id="checkbox"),
        pytest.param({"class": 3}, {"class": 3}, id="a number"),
    ],
)
def test_values(before: Any, after: dict[str, Any] | None) -> None:
    changed = relabel(file_of(entry("p", (A, before))), LABELLING, "region")
    assert values(changed.file) == [
        after or ({"class": {"sandwich": True, "egg": True}} if after is None else {})
    ]


def test_counts_say_what_was_rewritten() -> None:
    file = file_of(entry("p", (A, "sandiwch"), (B, "sandiwch")), entry("q", (A, "rubbish"), (B, "sandwich")))
    changed = relabel(file, LABELLING, "region")
    assert changed.counts == {("sandiwch", "sandwich"): 2, ("rubbish", None): 1}


def test_options_follow_the_values() -> None:
    declared = DeclaredAttribute(
        type="dropdown",
        options={"sandiwch": "", "egg": "an egg", "rubbish": ""},
        default_options={"sandiwch": True},
    )
    changed = relabel(file_of(entry("p", (A, "sandiwch")), declared={"class": declared}), LABELLING, "region")
    attribute = changed.file.attributes["region"]["class"]
    assert (attribute.options, attribute.default_options) == ({"egg": "an egg", "sandwich": ""}, {})


def test_a_description_is_written_as_its_option() -> None:
    declared = DeclaredAttribute(type="radio", options={"0": "cat", "1": "kat"})
    labelling = Labelling(attribute="class", names={"0": "cat", "1": "kat"}, mapping={"kat": "cat"})
    changed = relabel(file_of(entry("p", (A, "1")), declared={"class": declared}), labelling, "region")
    assert values(changed.file) == [{"class": "0"}]
    assert changed.file.attributes["region"]["class"].options == {"0": "cat"}


def test_file_attributes() -> None:
    labelling = Labelling(attribute="scene", mapping=MAPPING)
    changed = relabel(file_of(entry("p", scene="sandiwch")), labelling, "file")
    assert changed.file.entries[0].file_attributes == {"scene": "sandwich"}


def test_without_a_map_nothing_is_touched() -> None:
    file = file_of(entry("p", (A, " x ")))
    assert relabel(file, Labelling(attribute="class"), "region").file is file


def test_a_default_is_written_where_no_value_stands() -> None:
    file = file_of(entry("p", (A, ""), (B, "egg")))
    changed = relabel(file, Labelling(attribute="class", default="sandwich"), "region")
    assert values(changed.file) == [{"class": "sandwich"}, {"class": "egg"}]
    assert changed.counts == {("", "sandwich"): 1}


def test_without_an_attribute_the_default_gets_one_of_its_own() -> None:
    changed = relabel(
        file_of(entry("p", (A, {}), (B, {}))), Labelling(attribute=None, default="car"), "region"
    )
    assert values(changed.file) == [{"class": "car"}] * 2


def test_the_default_is_an_option_where_there_are_options() -> None:
    declared = DeclaredAttribute(type="checkbox", options={"egg": ""})
    file = file_of(entry("p", (A, {"class": {}})), declared={"class": declared})
    changed = relabel(file, Labelling(attribute="class", default="sandwich"), "region")
    assert values(changed.file) == [{"class": {"sandwich": True}}]
    assert changed.file.attributes["region"]["class"].options == {"egg": "", "sandwich": ""}
