"""The class in a VIA attribute, and labels that are two spellings of one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.formats.via.labels import (
    attributes_in_use,
    describe_attributes,
    guess_label_attribute,
    labels_of,
)
from cnnpipe.formats.via.review import SCORE_ATTRIBUTE
from cnnpipe.formats.via.spelling import near_spellings


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        pytest.param("cat", ["cat"], id="text"),
        pytest.param(" cat\n", ["cat"], id="blanks around"),
        pytest.param("big cat", ["big cat"], id="blanks within"),
        pytest.param("猫", ["猫"], id="any script"),
        pytest.param("", [], id="empty"),
        pytest.param("  ", [], id="blank"),
        pytest.param(None, [], id="null"),
        pytest.param("undefined", [], id="undefined"),
        pytest.param("null", [], id="null as a text"),
        pytest.param("None", [], id="None of Python"),
        pytest.param("none", ["none"], id="none can be a class"),
        pytest.param(3, ["3"], id="integer"),
        pytest.param(0, ["0"], id="zero"),
        pytest.param(3.0, ["3"], id="whole float"),
        pytest.param(2.5, ["2.5"], id="float"),
        pytest.param(True, ["true"], id="truth"),
        pytest.param({"cat": True}, ["cat"], id="checkbox"),
        pytest.param({"cat": "true", "dog": False}, ["cat"], id="checkbox with texts and leftovers"),
        pytest.param({"cat": True, "dog": True}, ["cat", "dog"], id="two ticks"),
        pytest.param({"cat": "false"}, [], id="no tick"),
        pytest.param({}, [], id="empty checkbox"),
        pytest.param([], [], id="empty list"),
        pytest.param(["cat"], ["cat"], id="list"),
    ],
)
def test_labels_of_a_value(value: Any, labels: list[str]) -> None:
    assert labels_of(value) == labels


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param([{"thing": "a"}, {"thing": "a"}], "thing", id="a single one"),
        pytest.param(
            [{"thing": "a", "id": str(n)} for n in range(9)] + [{"thing": "b"}], "thing", id="fewest"
        ),
        pytest.param([{"c": "a", "d": "x"}, {"c": "b", "d": "x"}], "c", id="one that never changes is none"),
        pytest.param([{"c": "a", "name": "x"}, {"c": "b", "name": ""}], "c", id="VIA's demo"),
        pytest.param([{"name": "x"}, {"name": "y"}], "name", id="VIA's demo, and nothing else"),
        pytest.param(
            [{"c": "a", "o": {"yes": True}}] * 2 + [{"c": "b", "o": {"no": True}}] + [{"c": "d", "o": {}}],
            "c",
            id="a checkbox is a remark",
        ),
        pytest.param([{"o": {"cat": True}}, {"o": {"dog": True}}], "o", id="a checkbox, and nothing else"),
        pytest.param(
            [{"a": "1", "b": "1"}, {"a": "2", "b": "2"}, {"b": "2"}], "b", id="filled in more often"
        ),
        pytest.param([{"b": "1", "a": "1"}, {"b": "2", "a": "2"}], "a", id="by name"),
        pytest.param([{"score": "1", "c": str(n)} for n in range(9)], "c", id="a score is no class"),
        pytest.param([{"score": "1", "name": "x"}, {"score": "2"}], "name", id="VIA's demo before a score"),
        pytest.param([{"score": "1", "c": ""}], "score", id="a score, and nothing else"),
        pytest.param([{"type": "x"}] * 20 + [{"note": "y"}], "type", id="one slip is no class"),
        pytest.param([{"c": "x"}] * 9 + [{"name": "y"}], "c", id="VIA's demo filled in once"),
        pytest.param(
            [{"Label": str(n), "a": str(n % 2), "class_id": str(n % 3)} for n in range(9)],
            "class_id",
            id="called class, and of those the fewest",
        ),
        pytest.param(
            [{"Categories": str(n), "classy": str(n % 2)} for n in range(9)], "Categories", id="called so"
        ),
        pytest.param([{"a": "", "b": None}], None, id="nothing filled in"),
        pytest.param([{}], None, id="no attribute"),
    ],
)
def test_the_guess(attributes: list[dict[str, Any]], expected: str | None) -> None:
    assert guess_label_attribute(attributes_in_use(attributes)) == expected


def test_the_score_that_cnnpipe_writes_is_never_guessed() -> None:
    uses = attributes_in_use([{SCORE_ATTRIBUTE: "0.9", "animal": str(number)} for number in range(9)])
    assert guess_label_attribute(uses) == "animal"


def test_attributes_are_described_with_their_counts() -> None:
    uses = attributes_in_use([{"class": "a", "b": ""}, {"class": "a"}, {"class": "b"}])
    assert describe_attributes(uses) == "b (0 values, 0 distinct), class (3 values, 2 distinct)"
    assert describe_attributes({}) == "none at all"


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        pytest.param("sandwich", "sandiwch", True, id="swapped"),
        pytest.param("blister", "blitster", True, id="one more"),
        pytest.param("sandwich", "sandwch", True, id="one less"),
        pytest.param("sandwich", "sandwish", True, id="one changed"),
        pytest.param("Cat", "cat", True, id="case"),
        pytest.param("leaf smut", "leaf_smut", True, id="underscore"),
        pytest.param("caf\u00e9", "cafe\u0301", True, id="composed and decomposed"),
        pytest.param("cat", "bat", False, id="short words"),
        pytest.param("grade1", "grade2", False, id="digits"),
        pytest.param("sandwich", "sandal", False, id="two words"),
        pytest.param("abcdef", "abdcfe", False, id="two swaps"),
        pytest.param("abcdef", "fbcdea", False, id="ends swapped"),
    ],
)
def test_near_spellings(one: str, other: str, near: bool) -> None:
    assert near_spellings([one, other]) == ([tuple(sorted((one, other)))] if near else [])


@given(st.lists(st.text("abc1 _", max_size=8), max_size=6))
def test_near_spellings_do_not_depend_on_order(labels: list[str]) -> None:
    assert near_spellings(labels) == near_spellings([*reversed(labels), *labels])


@given(st.text("abcdefgh", min_size=6, max_size=12), st.integers(0, 10), st.sampled_from("xyz"))
def test_any_single_slip_is_near(word: str, place: int, letter: str) -> None:
    place %= len(word)
    slips = {
        word[:place] + word[place + 1 :],
        word[:place] + letter + word[place:],
        word[:place] + letter + word[place + 1 :],
    }
    for slip in slips - {word}:
        assert near_spellings([word, slip]) == [tuple(sorted((word, slip)))]
