"""Outlines of very many points: the same numbers as of few, in a fraction of the memory."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import entry

from cnnpipe.formats.via.read import parse_via
from cnnpipe.geometry.shapes import Polygon, Polyline

NUM_POINTS = 60_000  # some 300 kB of text each for x and y
coordinates = st.one_of(st.integers(-50, 5000), st.floats(-1e3, 1e4).map(lambda x: round(x, 3)))


def region(name: str, xs: list[Any], ys: list[Any]) -> dict[str, Any]:
    return {
        "shape_attributes": {"name": name, "all_points_x": xs, "all_points_y": ys},
        "region_attributes": {},
    }


@given(
    st.lists(coordinates, min_size=3, max_size=12, unique=True), st.sampled_from([(",", ":"), (" , ", ": ")])
)
@settings(max_examples=15, deadline=None)
def test_every_number_is_as_the_file_has_it(numbers: list[float], separators: tuple[str, str]) -> None:
    xs = (numbers * NUM_POINTS)[:NUM_POINTS]
    value = {"a": entry("a.jpg", region("polyline", xs, xs[::-1]))}
    [read] = parse_via(json.dumps(value, separators=separators).encode(), where="x").entries
    assert read.regions[0].shape == Polyline(tuple(xs), tuple(xs[::-1]))
    assert read.findings == ()


def test_a_closed_polygon_is_opened_and_short_regions_beside_it_are_read() -> None:
    xs = [*range(NUM_POINTS), 0]
    value = {"a": entry("a.jpg", region("polygon", xs, xs), region("polygon", [1, 2, 3], [1, 2, 5]))}
    [read] = parse_via(json.dumps(value).encode(), where="x").entries
    first, second = (each.shape for each in read.regions)
    assert isinstance(first, Polygon)
    assert (len(first.all_points_x), first.all_points_x[-1]) == (NUM_POINTS, NUM_POINTS - 1)
    assert second == Polygon((1, 2, 3), (1, 2, 5))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        pytest.param(None, "all_points_x of its polygon is not a number", id="null"),
        pytest.param([1], "all_points_x of its polygon is not a number", id="nested list"),
        pytest.param("x", "all_points_x of its polygon is not a number", id="text"),
    ],
)
def test_what_is_no_number_is_a_finding(wrong: Any, what: str) -> None:
    xs = list(range(NUM_POINTS))
    value = {
        "a": entry(
            "a.jpg", region("polygon", [*xs, wrong], [*xs, 1]), region("polygon", [1, 2, 3], [1, 2, 5])
        )
    }
    [read] = parse_via(json.dumps(value).encode(), where="x").entries
    assert [(each.region, each.what) for each in read.findings] == [(0, what)]
    assert [each.number for each in read.regions] == [1]


def test_numbers_as_texts_are_read_all_the_same() -> None:
    xs = [str(x) for x in range(NUM_POINTS)]
    [read] = parse_via(
        json.dumps({"a": entry("a.jpg", region("polygon", xs, xs))}).encode(), where="x"
    ).entries
    assert isinstance(read.regions[0].shape, Polygon)
    assert read.regions[0].shape.all_points_x[-1] == NUM_POINTS - 1


@pytest.mark.parametrize("highest", [9, 4000])
def test_the_memory_stays_a_few_times_the_file(highest: int) -> None:
    xs = [x % highest for x in range(300_000)]
    content = json.dumps({"a": entry("a.jpg", region("polygon", xs, xs))}, separators=(",", ":")).encode()
    tracemalloc.start()
    parse_via(content, where="x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(content)
