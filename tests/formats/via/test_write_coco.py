"""Written COCO: as other tools read it, as VIA 2 imports it, and what is lost."""

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as masks  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from via_records import PLAIN_SHAPES, VIA_3_SHAPES, entry, outlines, plain_shapes, region, via_file

from cnnpipe.errors import AnnotationError
from cnnpipe.formats.coco_file import shoelace_area
from cnnpipe.formats.via.convert import ConvertOptions, Target, convert
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.records import DeclaredAttribute, Loss, ViaFile, ViaRegion
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    Line,
    Point,
    Polygon,
    Polyline,
    Rect,
    Shape,
    shape_to_box,
    shape_to_outline,
)

CLASS = Labelling(attribute="class")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "coco.json"


def write(
    file: ViaFile, out: Path, target: Target = "coco", **options: Any
) -> tuple[dict[str, Any], list[Loss]]:
    sizes = {each.key: (640, 480) for each in file.entries}
    given_options: dict[str, Any] = {"labelling": CLASS, "sizes": sizes} | options
    losses = convert(file, out, target, ConvertOptions(**given_options))
    value: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return value, losses


def whats(losses: list[Loss]) -> list[str]:
    return [loss.what for loss in losses if loss.what != "size of the picture in bytes"]


def test_the_form(out: Path) -> None:
    file = via_file(
        entry("a.png", region(Rect(1, 2, 3, 4), 0, **{"class": "dog"})),
        entry("b/ä.png", region(Polygon((0, 4, 4), (0, 0, 3)), 0, **{"class": "cat"}), Rect(0, 0, 2, 1)),
    )
    value, _ = write(file, out)
    assert value["categories"] == [
        {"id": 1, "name": "cat", "supercategory": "class"},
        {"id": 2, "name": "dog", "supercategory": "class"},
    ]
    assert value["images"] == [
        {"id": 1, "file_name": "a.png", "width": 640, "height": 480},
        {"id": 2, "file_name": "b/ä.png", "width": 640, "height": 480},
    ]
    assert value["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 2,
            "segmentation": [[1, 2, 4, 2, 4, 6, 1, 6]],
            "area": 12,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 0,
        },
        {
            "id": 2,
            "image_id": 2,
            "category_id": 1,
            "segmentation": [[0, 0, 4, 0, 4, 3]],
            "area": 6,
            "bbox": [0, 0, 4, 3],
            "iscrowd": 0,
        },
        {
            "id": 3,
            "image_id": 2,
            "category_id": 1,
            "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]],
            "area": 2,
            "bbox": [0, 0, 2, 1],
            "iscrowd": 0,
        },
    ]


def test_pycocotools_reads_it_and_measures_the_same(out: Path) -> None:
    shapes = (Rect(10, 20, 30, 40), Circle(100, 100, 40), Ellipse(300, 200, 60, 20, 0.5))
    write(via_file(entry("a.png", *shapes)), out)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out))
    areas = [1200, math.pi * 1600, math.pi * 1200]
    for annotation, area in zip(coco.loadAnns(coco.getAnnIds()), areas, strict=True):
        assert annotation["area"] == pytest.approx(area, rel=0.002)  # of 72 corners, not of the curve
        assert masks.area(coco.annToRLE(annotation)) == pytest.approx(area, rel=0.05)


@given(shape=plain_shapes)
def test_the_box_is_that_of_the_shape(tmp_path_factory: pytest.TempPathFactory, shape: Shape) -> None:
    value, _ = write(via_file(entry("a.png", shape)), tmp_path_factory.mktemp("coco") / "c.json")
    box = shape_to_box(shape)
    if box is None or isinstance(shape, Point):
        assert value["annotations"] == []
        return
    [annotation] = value["annotations"]
    x, y, width, height = annotation["bbox"]
    assert (x, y, x + width, y + height) == pytest.approx(
        (box.x_min, box.y_min, box.x_max, box.y_max), rel=1e-3, abs=max(box.width, box.height) * 0.002
    )
    assert 0 <= annotation["area"] <= width * height * (1 + 1e-9)


@given(outlines, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_an_area_does_not_depend_on_the_place(
    outline: tuple[tuple[float, ...], tuple[float, ...]], dx: float, dy: float
) -> None:
    corners = list(zip(*outline, strict=True))
    moved = [(x + dx, y + dy) for x, y in corners]
    size = max(max(xs) - min(xs) for xs in outline) + 1
    assert shoelace_area(moved) == pytest.approx(shoelace_area(corners), rel=1e-6, abs=1e-6 * size)
    assert shoelace_area(corners[::-1]) == pytest.approx(shoelace_area(corners), rel=1e-9, abs=1e-9 * size)


@pytest.mark.parametrize("target", ["coco", "coco-via"])
@pytest.mark.parametrize(
    ("each", "lost"),
    [
        (region(None, 3, **{"class": "cat"}), ["region without a shape"]),
        (region(Point(1, 2), 3, **{"class": "cat"}), ["point, which has no area"]),
        (region(Line(1, 2, 3, 4), 3, **{"class": "cat"}), ["line, which has no area"]),
        (region(Rect(1, 2, 0, 4), 3, **{"class": "cat"}), ["region without an area"]),
        (region(Polygon((1, 2), (1, 2)), 3, **{"class": "cat"}), ["region without an area"]),
        (region(Rect(0, 0, 1e150, 1e150), 3, **{"class": "cat"}), ["region too large to be measured"]),
        (region(Rect(1, 2, 3, 4), 3), ["region without a label"]),
        (region(Rect(1, 2, 3, 4), 3, **{"class": ""}, other="x"), ["region without a label"]),
    ],
)
def test_regions_that_are_left_out(target: Target, each: ViaRegion, lost: list[str], out: Path) -> None:
    value, losses = write(via_file(entry("a.png", each)), out, target)
    assert (value["annotations"], value["categories"]) == ([], [])
    assert [loss for loss in losses if loss.region is not None] == [
        Loss(what=what, where="a.png", region=3) for what in lost
    ]


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (Rect(1, 2, 3, 4), []),
        (Polygon((1, 9, 9), (1, 1, 9)), []),
        (Circle(9, 9, 3), ["circle, drawn as a polygon"]),
        (Ellipse(9, 9, 3, 4), ["ellipse, drawn as a polygon"]),
        (Polyline((1, 9, 9), (1, 1, 9)), ["polyline, drawn as the outline it stands for"]),
        (VIA_3_SHAPES[1], ["extreme rectangle, drawn as a rect"]),
        (VIA_3_SHAPES[2], ["extreme circle, drawn as a polygon"]),
    ],
)
def test_what_a_polygon_does_not_say(shape: Shape, what: list[str], out: Path) -> None:
    value, losses = write(via_file(entry("a.png", shape)), out)
    assert len(value["annotations"]) == 1
    assert whats(losses) == what


def test_a_polyline_is_no_outline_where_it_shall_not_be(out: Path) -> None:
    file = via_file(entry("a.png", Polyline((1, 9, 9), (1, 1, 9))))
    value, losses = write(file, out, polyline_as_outline=False)
    assert value["annotations"] == []
    assert whats(losses) == ["polyline, which is no outline"]


def test_a_region_of_two_labels_is_written_for_each(out: Path) -> None:
    each = region(Rect(1, 2, 3, 4), 0, **{"class": {"cat": True, "dog": True, "ant": False}})
    value, losses = write(via_file(entry("a.png", each)), out)
    assert [annotation["category_id"] for annotation in value["annotations"]] == [1, 2]
    assert [category["name"] for category in value["categories"]] == ["cat", "dog"]
    assert whats(losses) == ["region with several labels, written once for each"]


def test_all_other_values_are_lost(out: Path) -> None:
    each = region(Rect(1, 2, 3, 4), 0, **{"class": "cat", "note": "x", "empty": "", "n": 0})
    file = via_file(
        entry("a.png", each, file_attributes={"good": "y", "caption": ""}, key="7"),
        attributes={"region": {"class": DeclaredAttribute(type="text", options={})}, "file": {}},
        settings={"core": {}},
        order=(),
    )
    _, losses = write(file, out)
    assert losses == [
        Loss(
            what="declaration of an attribute", where="", detail="region attribute 'class': text, 0 options"
        ),
        Loss(what="settings of the project", where="", detail="core"),
        Loss(what="order of the pictures", where=""),
        Loss(what="keys that are not file name and size", where="", detail="1 pictures"),
        Loss(what="attributes of the picture", where="a.png", detail="good"),
        Loss(what="size of the picture in bytes", where="a.png", detail="5 bytes"),
        Loss(what="attributes of a region besides its class", where="a.png", region=0, detail="note, n"),
    ]


def test_labels_follow_the_rule_that_is_given(out: Path) -> None:
    labelling = Labelling(attribute="class", names={"0": "cat"}, mapping={"Cat": "cat", "?": None})
    held = [
        region(Rect(1, 2, 3, 4), number, **{"class": text}) for number, text in enumerate(["0", "Cat", "?"])
    ]
    value, losses = write(via_file(entry("a.png", *held)), out, labelling=labelling)
    assert [annotation["category_id"] for annotation in value["annotations"]] == [1, 1]
    assert [category["name"] for category in value["categories"]] == ["cat"]
    assert whats(losses) == ["region without a label"]


def test_the_size_of_every_picture_must_be_known(out: Path) -> None:
    file = via_file(entry("a.png"), entry("b.png", width=4, height=3), *(entry(f"{i}.png") for i in range(3)))
    with pytest.raises(AnnotationError, match=r"a\.png, 0\.png, 1\.png: .*and 1 more\n  fix: .*--images"):
        write(file, out, sizes={})
    assert not out.exists()


def test_sizes_of_the_file_count_where_none_are_given(out: Path) -> None:
    file = via_file(entry("a.png", width=4, height=3), entry("b.png", width=4, height=3))
    value, losses = write(file, out, sizes={"b.png5": (8, 6)})
    assert [(image["width"], image["height"]) for image in value["images"]] == [(4, 3), (8, 6)]
    assert whats(losses) == []


def test_for_via_a_size_that_is_not_known_is_minus_one(out: Path) -> None:
    value, losses = write(via_file(entry("a.png")), out, "coco-via", sizes={})
    assert value["images"] == [{"id": 1, "file_name": "a.png", "width": -1, "height": -1}]
    assert whats(losses) == ["size of the picture in pixels, which is not known: -1 is written"]


@given(shape=plain_shapes)
def test_via_takes_exactly_the_rects_for_rects(
    tmp_path_factory: pytest.TempPathFactory, shape: Shape
) -> None:
    """By the rule of VIA's import: 8 numbers, and a box that is exactly theirs."""
    file = via_file(entry("a.png", shape), entry("b.png", Polygon((0, 5, 5, 0), (0, 0, 5, 5))))
    value, _ = write(file, tmp_path_factory.mktemp("coco") / "c.json", "coco-via")
    for annotation in value["annotations"]:
        [corners] = annotation["segmentation"]
        assert len(corners) >= 6
        xs, ys = corners[::2], corners[1::2]
        is_box = annotation["bbox"] == [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        taken = len(corners) == 8 and is_box
        assert taken == (annotation["image_id"] == 1 and isinstance(shape, Rect))
        if taken:
            x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
            assert corners == [x0, y0, x1, y0, x1, y1, x0, y1]


@pytest.mark.parametrize("target", ["coco", "coco-via"])
def test_each_category_has_a_supercategory(target: Target, out: Path) -> None:
    value, _ = write(via_file(entry("a.png", Rect(1, 2, 3, 4))), out, target)
    assert value.keys() == {"info", "licenses", "categories", "images", "annotations"}
    assert [category["supercategory"] for category in value["categories"]] == ["class"]


@pytest.mark.parametrize("target", ["coco", "coco-via"])
def test_the_same_file_gives_the_same_bytes(target: Target, out: Path, tmp_path: Path) -> None:
    file = via_file(entry("a.png", *PLAIN_SHAPES), entry("b.png", *VIA_3_SHAPES))
    write(file, out, target)
    write(file, tmp_path / "again.json", target)
    assert out.read_bytes() == (tmp_path / "again.json").read_bytes()


def test_the_outline_is_all_of_the_shape(out: Path) -> None:
    shape = Ellipse(300, 200, 60, 20, 0.5)
    value, _ = write(via_file(entry("a.png", shape)), out)
    outline = shape_to_outline(shape)
    assert outline is not None
    assert value["annotations"][0]["segmentation"] == [outline.ravel().tolist()]
