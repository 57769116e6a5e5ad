"""What files hold, counted."""

import pytest
from filed_entries import A, B, entry, file_of

from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.records import DeclaredAttribute
from cnnpipe.formats.via.stats import LabelStats, compute_stats
from cnnpipe.geometry.shapes import Point, Polygon, Rect

LABELLING = Labelling(attribute="class")


def test_counts_of_everything() -> None:
    declared = DeclaredAttribute(type="dropdown", options={"a": "", "b": "", "never": "never"})
    file = file_of(
        entry("p", (A, "a"), (B, "a"), (Point(1, 1), "b "), scene="day"),
        entry("q", (Rect(-5, 0, 10, 0), ""), (Rect(-5, 0, 10, 5), "b"), (None, "b")),
        entry("r"),
        declared={"class": declared},
    )
    stats = compute_stats([file], LABELLING)
    assert (stats.images, stats.images_without_regions, stats.regions) == (3, 1, 6)
    assert stats.shapes == {"rect": 4, "point": 1, "none": 1}
    assert stats.labels == {"b": LabelStats(regions=3, images=2), "a": LabelStats(regions=2, images=1)}
    assert (stats.num_degenerate, stats.num_outside, stats.num_sized) == (1, 1, 0)
    of_class = stats.attributes["region"]["class"]
    assert (of_class.num_filled, of_class.num_missing, of_class.num_distinct) == (5, 1, 2)
    assert (of_class.values, of_class.unused_options) == ({"b": 3, "a": 2}, ["never"])
    assert stats.attributes["file"]["scene"].num_missing == 2
    assert stats.boxes is not None
    assert (stats.boxes.count, stats.boxes.width_px.median, stats.boxes.relative_side) == (3, 9, None)


def test_sizes_of_pictures_make_boxes_relative_and_show_what_is_outside() -> None:
    file = file_of(entry("p", (Rect(0, 0, 50, 50), "a"), (Rect(90, 0, 20, 10), "a")))
    stats = compute_stats([file], LABELLING, [{"p10": (100, 100)}])
    assert (stats.num_sized, stats.num_outside) == (1, 1)
    assert stats.boxes is not None
    assert stats.boxes.relative_side is not None
    assert stats.boxes.relative_side.most == pytest.approx(0.5)


def test_nothing_has_no_spread() -> None:
    stats = compute_stats([file_of()], Labelling(attribute=None))
    assert (stats.images, stats.regions_per_image, stats.boxes, stats.labels) == (0, None, None, {})


def test_boxes_beyond_all_bounds_are_counted() -> None:
    wide = Polygon((0.0, 1e308, 1.0), (0.0, 1.0, 1e308))
    stats = compute_stats([file_of(entry("p", (wide, "a"), (A, "a")))], LABELLING)
    assert stats.boxes is not None
    assert stats.boxes.count == 2
