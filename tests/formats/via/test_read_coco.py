"""COCO as VIA 2.0.8 to 2.0.12 write it, each with its faults, and as other tools do."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnpipe.annotations import Finding
from cnnpipe.errors import AnnotationError
from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import DeclaredAttribute, ViaFile, all_findings
from cnnpipe.geometry.shapes import Point, Polygon, Rect, shape_to_box

NEW = "VIA project exported to COCO format using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via/)"
OLD = "Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via/)"
CATS = [
    {"supercategory": "animal", "id": 1, "name": "cat"},
    {"supercategory": "animal", "id": 2, "name": "dog"},
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
pixels = st.floats(-1e4, 1e4)
sizes = st.floats(0.01, 1e4)


def image(number: Any = 1, name: Any = "a.jpg", **more: Any) -> dict[str, Any]:
    """Write an image as VIA 2.0.10 does."""
    fields = {"id": number, "width": 640, "height": 480, "file_name": name, "license": 0}
    return fields | {"flickr_url": name, "coco_url": name, "date_captured": ""} | more


def rect(x: float, y: float, w: float, h: float, **more: Any) -> dict[str, Any]:
    """Write a rectangle as VIA 2.0.10 does."""
    corners = [x, y, x + w, y, x + w, y + h, x, y + h]
    fields = {"segmentation": [corners], "area": w * h, "bbox": [x, y, w, h], "iscrowd": 0}
    return fields | {"id": 1, "image_id": 1, "category_id": 1} | more


def read(
    images: Any = None, annotations: Any = (), categories: Any = CATS, *, description: str = "", **more: Any
) -> ViaFile:
    value = {
        "info": {"description": description, "version": "1.0"},
        "images": [image()] if images is None else images,
        "annotations": annotations,
        "licenses": [],
        "categories": categories,
    }
    return parse_via(json.dumps(value | more).encode(), where="coco.json")


def codes(file: ViaFile) -> Sequence[str]:
    return [finding.code for finding in all_findings(file)]


def the_finding(file: ViaFile, code: str) -> Finding:
    [finding] = [each for each in all_findings(file) if each.code == code]
    return finding


def test_a_plain_file_is_read() -> None:
    polygon = {"segmentation": [[0, 0, 4, 0, 2, 3]], "bbox": [0, 0, 4, 3], "area": 6, "iscrowd": 0}
    file = read(
        [image(7, "b.jpg", width=-1, height=-1), image()],
        [rect(1, 2, 3, 4, id=1), polygon | {"id": 2, "image_id": 7, "category_id": 2}],
    )
    first, second = file.entries
    assert (file.kind, file.version, file.num_images, file.num_regions) == ("coco-json", "coco", 2, 2)
    assert (first.key, first.filename, first.width, first.height) == ("7", "b.jpg", None, None)
    assert (second.key, second.filename, second.width, second.height) == ("1", "a.jpg", 640, 480)
    assert (first.regions[0].shape, first.regions[0].attributes) == (
        Polygon((0, 4, 2), (0, 0, 3)),
        {"animal": "dog"},
    )
    assert (second.regions[0].shape, second.regions[0].attributes) == (Rect(1, 2, 3, 4), {"animal": "cat"})
    assert second.size_bytes is None
    options = {"cat": "cat", "dog": "dog"}
    assert file.attributes == {
        "region": {"animal": DeclaredAttribute(type="dropdown", options=options)},
        "file": {},
    }
    assert file.image_order == ("7", "1")
    assert all_findings(file) == []


@pytest.mark.parametrize(
    ("supercategories", "attribute"),
    [
        (("animal", "animal"), "animal"),
        (("animal", "plant"), "class"),
        (("", ""), "class"),
        (("none", "none"), "class"),
        ((None, None), "class"),
        (("undefined", "undefined"), "class"),
    ],
)
def test_the_attribute_is_the_supercategory_that_all_share(
    supercategories: Sequence[Any], attribute: str
) -> None:
    categories = [{**each, "supercategory": name} for each, name in zip(CATS, supercategories, strict=True)]
    file = read(annotations=[rect(1, 2, 3, 4)], categories=categories)
    assert file.entries[0].regions[0].attributes == {attribute: "cat"}
    assert list(file.attributes["region"]) == [attribute]


@pytest.mark.parametrize(
    ("annotation", "shape", "repair"),
    [
        pytest.param(rect(1.5, 2.25, 3, 4), Rect(1.5, 2.25, 3, 4), None, id="rect"),
        pytest.param(rect(0.1, 0.2, 3, 4), Rect(0.1, 0.2, 3, 4), None, id="rect, rounded sums"),
        pytest.param(
            {"segmentation": [1, 2, 4, 2, 4, 6, 1, 6], "bbox": [1, 2, 3, 4]},
            Rect(1, 2, 3, 4),
            "outlines are one list of numbers",
            id="rect of 2.0.8, flat",
        ),
        pytest.param(
            {"segmentation": [0, 0, 4, 0, 2, 3], "bbox": [0, 0, 4, 3]},
            Polygon((0, 4, 2), (0, 0, 3)),
            "outlines are one list of numbers",
            id="polygon of 2.0.8, flat",
        ),
        pytest.param(
            {"segmentation": [[1, 2, 4, 2, 4, 6, 1, 6, 1, 2]], "bbox": [1, 2, 3, 4]},
            Rect(1, 2, 3, 4),
            None,
            id="rect, closed",
        ),
        pytest.param(
            {"segmentation": [[1, 6, 4, 6, 4, 2, 1, 2]], "bbox": [1, 2, 3, 4]},
            Rect(1, 2, 3, 4),
            None,
            id="rect, the other way round",
        ),
        pytest.param(
            {"segmentation": [[1, 2, 4, 2, 4, 6, 1, 6]], "bbox": [0, 0, 3, 4]},
            Polygon((1, 4, 4, 1), (2, 2, 6, 6)),
            None,
            id="four corners that are not the box",
        ),
        pytest.param(
            {"segmentation": [[2, 0, 4, 2, 2, 4, 0, 2]], "bbox": [0, 0, 4, 4]},
            Polygon((2, 4, 2, 0), (0, 2, 4, 2)),
            None,
            id="a rhomb in its box",
        ),
        pytest.param(
            {"segmentation": [["1", "2", "13", "2", "13", "24", "1", "24"]], "bbox": ["1", "2", 3, 4]},
            Rect(1, 2, 3, 4),
            "rectangles hold numbers as texts",
            id="texts, to which VIA appended the size",
        ),
        pytest.param({"bbox": [1, 2, 3, 4]}, Rect(1, 2, 3, 4), None, id="box only"),
        pytest.param({"segmentation": [], "bbox": [1, 2, 3, 4]}, Rect(1, 2, 3, 4), None, id="empty outline"),
        pytest.param(
            {"segmentation": [[]], "bbox": [1, 2, 3, 4]}, Rect(1, 2, 3, 4), None, id="outline of nothing"
        ),
        pytest.param(
            {"segmentation": [[]], "area": [], "bbox": [], "keypoints": [5, 6, 2], "num_keypoints": 1},
            Point(5, 6),
            None,
            id="point of 2.0.10",
        ),
        pytest.param(
            {"segmentation": {"counts": "abc", "size": [9, 9]}, "bbox": [1, 2, 3, 4]},
            Rect(1, 2, 3, 4),
            "annotations are masks (RLE)",
            id="mask",
        ),
        pytest.param(
            {"segmentation": [[0, 0, 1, 0, 1, 1], [5, 5, 9, 5, 9, 8]], "bbox": [0, 0, 9, 8]},
            Rect(0, 0, 9, 8),
            "annotations are of several polygons",
            id="several polygons are one object",
        ),
        pytest.param(
            {"segmentation": [[0, 1, 1, 1, 1, 2], [5, 5, 9, 5, 9, 8]]},
            Rect(0, 1, 9, 7),
            "annotations are of several polygons",
            id="several polygons without a box",
        ),
        pytest.param(
            {"segmentation": [[0, 0, 4, 0, 2, 3]], "bbox": "x"},
            Polygon((0, 4, 2), (0, 0, 3)),
            None,
            id="an outline needs no box",
        ),
    ],
)
def test_shapes(annotation: dict[str, Any], shape: Any, repair: str | None) -> None:
    file = read(annotations=[annotation | {"id": 5, "image_id": 1, "category_id": 2, "iscrowd": 0}])
    [region] = file.entries[0].regions
    assert (region.shape, region.attributes) == (shape, {"animal": "dog"})
    if repair is None:
        assert all_findings(file) == []
    else:
        assert the_finding(file, "file-repaired").what.startswith(f"1 {repair}")


def test_a_circle_comes_back_as_the_polygon_of_72_corners_that_via_writes() -> None:
    angles = [math.radians(degrees) for degrees in range(0, 360, 5)]
    corners = [round(v, 3) for a in angles for v in (50 + 10 * math.cos(a), 40 + 10 * math.sin(a))]
    file = read(annotations=[{"id": 1, "image_id": 1, "segmentation": [corners], "bbox": [40, 30, 20, 20]}])
    shape = file.entries[0].regions[0].shape
    assert isinstance(shape, Polygon)
    assert len(shape.all_points_x) == 72
    assert shape_to_box(shape) == shape_to_box(Rect(40, 30, 20, 20))


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        pytest.param({}, "it has neither an outline that VIA can hold nor a box", id="nothing"),
        pytest.param({"bbox": [1, 2, 3]}, "it has neither an outline", id="short box"),
        pytest.param({"bbox": [1, 2, -3, 4]}, "its size is negative: -3", id="negative size"),
        pytest.param({"bbox": [1, 2, 3, "x"]}, "height of its rect is not a number", id="text"),
        pytest.param({"bbox": [1, 2, 3, float("nan")]}, "a coordinate is not finite", id="NaN"),
        pytest.param({"bbox": [1, 2, 3, 10**400]}, "", id="beyond all floats"),
        pytest.param({"segmentation": [[1, 2, 3]]}, "it has 2 x and 1 y", id="odd"),
        pytest.param({"segmentation": [[1, [2], 3, 4]]}, "all_points_y of its polygon", id="nested"),
        pytest.param({"segmentation": [[1, 2], 3]}, "its segmentation is not a list", id="mixed"),
        pytest.param({"segmentation": "x"}, "its segmentation is not a list", id="text for an outline"),
        pytest.param({"segmentation": {"counts": []}}, "it has neither", id="mask without a box"),
        pytest.param(
            {"segmentation": [[]], "bbox": [], "keypoints": [1, None, 2]}, "cy of its point", id="point"
        ),
    ],
)
def test_an_annotation_that_cannot_be_read_is_a_finding(annotation: dict[str, Any], what: str) -> None:
    file = read(annotations=[rect(0, 0, 1, 1, id=1), {"image_id": 1} | annotation, rect(5, 5, 1, 1, id=3)])
    assert [region.number for region in file.entries[0].regions] == [0, 2]
    finding = the_finding(file, "region-unreadable")
    assert (finding.where, finding.region) == ("a.jpg", 1)
    assert finding.what.startswith(f"annotation 1: {what}")
    assert file.num_regions == 3


def test_via_2_0_9_image_ids_are_texts_and_categories_repeat_for_each_image() -> None:
    file = read(
        [image(0, "a.jpg"), image(1, "b.jpg")],
        [
            {"id": 0, "image_id": "0", "category_id": 2, "segmentation": [1, 2, 4, 2, 4, 6, 1, 6]}
            | {"area": 12, "bbox": [1, 2, 3, 4], "iscrowd": 0},
            {"id": 1, "image_id": "1", "segmentation": [0, 0, 4, 0, 2, 3], "area": 12, "bbox": [0, 0, 4, 3]},
            {"id": 2, "image_id": "1", "category_id": "", "segmentation": [0, 0, 4, 0, 2, 3]},
        ],
        CATS + CATS,
        description=OLD,
    )
    assert [[region.attributes for region in entry.regions] for entry in file.entries] == [
        [{"animal": "dog"}],
        [{}, {}],
    ]
    assert file.version == "2"
    assert codes(file) == ["file-unsafe", "file-repaired", "file-repaired"]
    repaired = [each.what for each in all_findings(file)[1:]]
    assert repaired[0] == "of 4 categories 2 are left: others repeat them, or are none"
    assert repaired[1].startswith("3 outlines are one list of numbers")


def test_via_2_0_10_classes_whose_ids_are_all_null_are_not_guessed() -> None:
    categories = [{"supercategory": "c", "id": None, "name": name} for name in ("a", "b")]
    file = read(annotations=[rect(1, 2, 3, 4, category_id=None)], categories=categories, description=NEW)
    assert file.entries[0].regions[0].attributes == {}
    finding = the_finding(file, "attribute-conflict")
    assert (
        finding.what == "the category id null is that of 2 categories (a, b); 1 regions are without a class"
    )
    assert "file-unsafe" in codes(file)


def test_a_single_class_with_the_id_null_is_told_by_it() -> None:
    categories = [{"supercategory": "c", "id": None, "name": "a"}]
    file = read(annotations=[rect(1, 2, 3, 4, category_id=None)], categories=categories, description=NEW)
    assert file.entries[0].regions[0].attributes == {"c": "a"}
    assert codes(file) == ["file-unsafe"]


def test_a_class_without_a_name_is_called_by_its_id() -> None:
    categories = [{"supercategory": "c", "id": 3, "name": ""}, {"supercategory": "c", "id": 4, "name": "x"}]
    annotations = [rect(1, 2, 3, 4, category_id=3, id=1), rect(1, 2, 3, 4, category_id=4.0, id=2)]
    file = read(annotations=annotations, categories=categories, description=NEW)
    assert [region.attributes for region in file.entries[0].regions] == [{"c": "3"}, {"c": "x"}]
    assert the_finding(file, "file-repaired").what == "categories have no name, and are called by their id: 3"


def test_two_classes_of_one_name_and_a_class_that_is_not_listed_are_told() -> None:
    categories = [*CATS, {"supercategory": "animal", "id": 3, "name": "cat"}]
    file = read(annotations=[rect(1, 2, 3, 4, category_id=9)], categories=categories)
    assert file.entries[0].regions[0].attributes == {}
    assert [each.what for each in all_findings(file)] == [
        "2 categories are called 'cat'; their regions get the same label",
        "the category id 9 is that of no category; 1 regions are without a class",
    ]


def test_a_region_that_via_wrote_once_for_each_of_its_values_is_read_once() -> None:
    twice = rect(1, 2, 3, 4, id=1)
    file = read(annotations=[twice, twice, rect(1, 2, 3, 4, id=3)], description=NEW)
    assert [region.number for region in file.entries[0].regions] == [0, 1]
    assert file.num_regions == 3
    assert the_finding(file, "file-repaired").what.startswith(
        "1 annotations are written again under the same id"
    )


def test_annotations_that_share_an_id_but_differ_are_all_read() -> None:
    file = read(
        annotations=[rect(1, 2, 3, 4, id=1), rect(5, 6, 7, 8, id=1), {"image_id": 1, "bbox": [0, 0, 1, 1]}]
    )
    assert len(file.entries[0].regions) == 3
    assert the_finding(file, "file-repaired").what == "1 annotations have the id of another; all are read"


def test_images_whose_numbers_collide_are_left_out_and_not_mixed_up() -> None:
    images = [image(1, "1_a.png"), image(1, "1_b.png"), image(2, "2_a.png")]
    file = read(images, [rect(1, 2, 3, 4, id=1), rect(1, 2, 3, 4, id=2, image_id=2)], description=NEW)
    assert [(entry.filename, len(entry.regions)) for entry in file.entries] == [("2_a.png", 1)]
    assert codes(file) == ["file-unsafe", "entry-unreadable", "entry-unreadable", "region-unreadable"]
    assert all_findings(file)[1].where == "coco.json: 1_a.png"
    assert all_findings(file)[1].what.startswith("its image id 1 is that of 1_b.png, too")
    assert file.num_images == 3


def test_the_same_image_twice_counts_once() -> None:
    file = read([image(), image()], [rect(1, 2, 3, 4)])
    assert [len(entry.regions) for entry in file.entries] == [1]
    assert codes(file) == ["entry-repeated"]


def test_annotations_of_unknown_images_are_counted() -> None:
    file = read(annotations=[rect(1, 2, 3, 4, id=n, image_id=i) for n, i in enumerate([7, 7, "x", None])])
    assert file.entries[0].regions == ()
    what = "4 annotations are of images that are not listed, or left out (image ids: 7, x, null)"
    assert the_finding(file, "region-unreadable").what == what


@pytest.mark.parametrize(
    ("value", "filename"),
    [
        ({"coco_url": "http://x.org/p/c.jpg"}, "c.jpg"),
        ({"coco_url": "", "flickr_url": "https://x.org/d%20e.jpg/"}, "d%20e.jpg"),
        ({"file_name": "p/f.jpg", "coco_url": "http://x.org/g.jpg"}, "p/f.jpg"),
    ],
)
def test_a_missing_file_name_is_taken_from_the_address(value: dict[str, Any], filename: str) -> None:
    assert read([{"id": 1} | value]).entries[0].filename == filename


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"id": 1}, "the image has no file name"),
        ({"id": 1, "file_name": " ", "coco_url": 5}, "the image has no file name"),
        ({"file_name": "a.jpg"}, "the image 'a.jpg' has no id"),
        ({"file_name": "a.jpg", "id": None}, "the image 'a.jpg' has no id"),
        ({"file_name": "a.jpg", "id": []}, "the image 'a.jpg' has no id"),
        (None, "the image is not an object"),
        ([], "the image is not an object"),
    ],
)
def test_an_image_that_cannot_be_named_is_a_finding(value: Any, what: str) -> None:
    file = read([value, image(2, "b.jpg")])
    assert [entry.filename for entry in file.entries] == ["b.jpg"]
    finding = the_finding(file, "entry-unreadable")
    assert (finding.where, finding.what) == ("coco.json: image 0", what)


def test_crowds_are_marked_and_masks_are_boxes() -> None:
    mask = {"counts": [1, 2, 3], "size": [480, 640]}
    file = read(annotations=[rect(1, 2, 3, 4, iscrowd=1, segmentation=mask)])
    assert file.entries[0].regions[0].attributes == {"animal": "cat", "iscrowd": "1"}
    assert list(file.attributes["region"]) == ["animal", "iscrowd"]
    assert codes(file) == ["file-repaired", "file-repaired"]


def test_fields_that_have_no_place_are_told() -> None:
    file = read(annotations=[rect(1, 2, 3, 4, score=0.5)])
    assert the_finding(file, "field-unknown").what.startswith("the field 'score' has no place in VIA")


@pytest.mark.parametrize("field", ["images", "annotations"])
@pytest.mark.parametrize("value", [None, {}, "x", 5])
def test_a_file_without_its_lists_is_refused(field: str, value: Any) -> None:
    with pytest.raises(AnnotationError, match=rf"coco.json: `{field}` is not a list\n  fix: "):
        read(**{field: value} if field == "annotations" else {"images": value or {}})


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize("last", [[5, 7.5], ["5", "7.5"]], ids=["numbers", "texts"])
def test_an_outline_of_very_many_points_is_read_as_a_short_one(is_flat: bool, last: list[Any]) -> None:
    numbers = [*(float(n % 1000) for n in range(40_000)), *last]
    polygon = {"id": 1, "image_id": 1, "category_id": 2, "segmentation": numbers if is_flat else [numbers]}
    [region] = read(annotations=[polygon]).entries[0].regions
    expected = [float(number) for number in numbers]
    assert region.shape == Polygon(tuple(expected[0::2]), tuple(expected[1::2]))
    assert region.attributes == {"animal": "dog"}


@given(pixels, pixels, sizes, sizes)
def test_a_rectangle_is_one_again(x: float, y: float, w: float, h: float) -> None:
    file = read(annotations=[rect(x, y, w, h)])
    assert file.entries[0].regions[0].shape == Rect(x, y, w, h)


@given(st.lists(json_values, max_size=4), st.lists(json_values, max_size=4), json_values, json_values)
def test_no_value_is_a_crash(images: Any, annotations: Any, categories: Any, info: Any) -> None:
    value = {"images": images, "annotations": annotations, "categories": categories, "info": info}
    file = parse_via(json.dumps(value).encode(), where="x")
    assert (file.num_images, file.num_regions) == (len(images), len(annotations))
    entries = [*images, image()]
    fields = ("id", "image_id", "segmentation", "bbox", "category_id", "keypoints")
    objects = [dict(zip(fields, [each, 1, each, each, each, each], strict=True)) for each in annotations]
    read(entries, objects, categories)
