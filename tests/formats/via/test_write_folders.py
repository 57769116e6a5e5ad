"""Written folders of YOLO and Pascal VOC: boxes read back, names are safe, nothing is written over."""

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from via_records import VIA_3_SHAPES, entry, region, texts, via_file

from cnnpipe.errors import AnnotationError, ParamsError
from cnnpipe.formats.via.convert import ConvertOptions, Target, convert
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.records import Loss, ViaFile
from cnnpipe.geometry.boxes import Box, clip_box
from cnnpipe.geometry.shapes import Circle, Line, Point, Polygon, Rect, Shape, shape_to_box

WIDTH, HEIGHT = 640, 480
SUFFIX = {"yolo": "labels/{}.txt", "voc": "Annotations/{}.xml"}
both = pytest.mark.parametrize("target", ["yolo", "voc"])
sides = st.floats(1, 300).map(lambda x: round(x, 3))
places = st.floats(-100, 600).map(lambda x: round(x, 3))
boxed_shapes: st.SearchStrategy[Shape] = st.one_of(
    st.builds(Rect, places, places, sides, sides), st.builds(Circle, places, places, sides)
)


def write(file: ViaFile, out: Path, target: Target, **options: Any) -> list[Loss]:
    sizes = {each.key: (WIDTH, HEIGHT) for each in file.entries}
    given_options: dict[str, Any] = {"labelling": Labelling(attribute="class"), "sizes": sizes} | options
    losses = convert(file, out, target, ConvertOptions(**given_options))
    return [loss for loss in losses if loss.what != "size of the picture in bytes"]


def files_in(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def yolo_boxes(path: Path) -> list[tuple[float, ...]]:
    boxes: list[tuple[float, ...]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        number, x, y, width, height = line.split(" ")
        assert number == "0"
        assert all(0 <= float(share) <= 1 for share in (x, y, width, height))
        w, h = float(width) * WIDTH, float(height) * HEIGHT
        x_min, y_min = float(x) * WIDTH - w / 2, float(y) * HEIGHT - h / 2
        boxes.append((x_min, y_min, x_min + w, y_min + h))
    return boxes


def parse_xml(path: Path) -> ET.Element:
    return ET.fromstring(path.read_bytes())  # noqa: S314 (we wrote it)


def voc_boxes(path: Path) -> list[tuple[float, ...]]:
    boxes: list[tuple[float, ...]] = []
    for box in parse_xml(path).iter("bndbox"):
        first, *others = (float(box.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append((first - 1, others[0] - 1, *others[1:]))
    return boxes


@given(st.lists(boxed_shapes, max_size=4))
def test_boxes_read_back(tmp_path_factory: pytest.TempPathFactory, shapes: list[Shape]) -> None:
    folder = tmp_path_factory.mktemp("boxes")
    file = via_file(entry("a.png", *shapes))
    boxes = [shape_to_box(shape) or Box(0, 0, 1, 1) for shape in shapes]
    clipped = [box for each in boxes if (box := clip_box(each, width=WIDTH, height=HEIGHT)) is not None]
    corners = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in clipped]
    write(file, folder / "yolo", "yolo")
    for read, written in zip(yolo_boxes(folder / "yolo/labels/a.txt"), corners, strict=True):
        assert read == pytest.approx(written, rel=0, abs=1e-6 * HEIGHT)
    write(file, folder / "voc", "voc")
    for read, written in zip(voc_boxes(folder / "voc/Annotations/a.xml"), corners, strict=True):
        assert read == pytest.approx(written, rel=0, abs=1e-9)


def test_the_form_of_yolo(tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = via_file(
        entry("a.png", region(Rect(64, 48, 64, 96), 0, **{"class": "dog"}), Rect(0, 0, 640, 480)),
        entry("b/c.d.jpg"),
    )
    assert write(file, out, "yolo") == []
    assert files_in(out) == ["data.yaml", "labels/a.txt", "labels/b/c.d.txt"]
    assert (out / "labels/a.txt").read_text() == (
        "1 0.15000000 0.20000000 0.10000000 0.20000000\n0 0.50000000 0.50000000 1.00000000 1.00000000\n"
    )
    assert (out / "labels/b/c.d.txt").read_bytes() == b""
    assert YAML(typ="safe").load(out / "data.yaml") == {
        "path": ".",
        "train": "images",
        "val": "images",
        "names": {0: "cat", 1: "dog"},
    }


@given(st.lists(texts.map(str.strip).filter(bool), min_size=1, unique=True))
def test_any_class_name_reads_back_from_data_yaml(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str]
) -> None:
    out = tmp_path_factory.mktemp("names") / "out"
    held = [region(Rect(0, 0, 1, 1), number, **{"class": label}) for number, label in enumerate(labels)]
    write(via_file(entry("a.png", *held)), out, "yolo")
    named = {label for label in labels if label not in {"undefined", "null", "None"}}
    assert YAML(typ="safe").load(out / "data.yaml")["names"] == dict(enumerate(sorted(named)))


def test_the_form_of_voc(tmp_path: Path) -> None:
    out = tmp_path / "out"
    flagged = region(
        Rect(10, 20, 30.5, 40),
        0,
        **{"class": "<a> & b", "Difficult": "yes", "truncated": {"truncated": True}},
    )
    assert write(via_file(entry("b/a.png", flagged, Rect(0, 0, 640, 480))), out, "voc") == []
    assert files_in(out) == ["Annotations/b/a.xml"]
    text = (out / "Annotations/b/a.xml").read_text(encoding="utf-8")
    assert "".join(line.strip() for line in text.splitlines()) == (
        "<annotation><folder>b</folder><filename>a.png</filename>"
        "<size><width>640</width><height>480</height><depth>3</depth></size><segmented>0</segmented>"
        "<object><name>&lt;a&gt; &amp; b</name><pose>Unspecified</pose>"
        "<truncated>1</truncated><difficult>1</difficult>"
        "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40.5</xmax><ymax>60</ymax></bndbox></object>"
        "<object><name>cat</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>640</xmax><ymax>480</ymax></bndbox></object></annotation>"
    )


@pytest.mark.parametrize(("value", "flag"), [("1", "1"), ("no", "0"), ("", "0"), (True, "1"), ({}, "0")])
def test_a_flag_is_taken_from_its_attribute(tmp_path: Path, value: Any, flag: str) -> None:
    each = region(Rect(0, 0, 1, 1), 0, **{"class": "cat", "occluded": value})
    assert write(via_file(entry("a.png", each)), tmp_path / "out", "voc") == []
    assert parse_xml(tmp_path / "out/Annotations/a.xml").findtext("object/occluded") == flag


@given(texts)
def test_any_label_can_be_parsed_as_xml(tmp_path_factory: pytest.TempPathFactory, label: str) -> None:
    out = tmp_path_factory.mktemp("voc") / "out"
    losses = write(
        via_file(entry("a.png", region(Rect(0, 0, 1, 1), 0, **{"class": f"x{label}y"}))), out, "voc"
    )
    read = parse_xml(out / "Annotations/a.xml").findtext("object/name")
    is_lost = [loss.what for loss in losses] == ["character that XML cannot hold"]
    assert (read == f"x{label}y") != is_lost


@both
def test_boxes_alone_are_held(target: Target, tmp_path: Path) -> None:
    held = [region(Polygon((0, 9, 9), (0, 0, 9)), 0, **{"class": "cat", "note": "x"}), VIA_3_SHAPES[1]]
    losses = write(via_file(entry("a.png", *held, file_attributes={"good": "y"})), tmp_path / "out", target)
    assert [(loss.what, loss.region, loss.detail) for loss in losses] == [
        ("attributes of the picture", None, "good"),
        ("attributes of a region besides its class", 0, "note"),
        ("outline of a region, of which the box is kept", 0, "polygon"),
        ("outline of a region, of which the box is kept", 1, "extreme_rect"),
    ]


@both
@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (Rect(-5, 0, 10, 10), "part of a box outside the picture"),
        (Rect(0, 480, 10, 10), "region outside the picture"),
        (Rect(0, 0, 0, 10), "region without an area"),
        (Point(1, 2), "point, which has no area"),
        (Line(1, 2, 3, 4), "line, which has no area"),
        (None, "region without a shape"),
    ],
)
def test_what_is_lost_of_a_region(target: Target, shape: Shape | None, what: str, tmp_path: Path) -> None:
    each = region(shape, 3, **{"class": "cat"})
    assert write(via_file(entry("a.png", each)), tmp_path / "out", target) == [
        Loss(what=what, where="a.png", region=3)
    ]


@both
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.png", "a"),
        ("b\\c.png", "b/c"),
        ("/etc/passwd", "passwd"),
        ("C:\\x\\a.png", "a"),
        ("http://x/y/a.jpg?z=1", "a"),
        ("../../a.png", "a"),
        ("b/../../../a.png", "b/a"),
        ("..", None),
        ("a\0b", None),
        ("x" * 300 + ".png", None),
        ("/".join(["dir"] * 2000), None),
    ],
)
def test_files_stay_in_the_folder(target: Target, name: str, written: str | None, tmp_path: Path) -> None:
    out = tmp_path / "in" / "out"
    losses = write(via_file(entry(name, Rect(0, 0, 1, 1))), out, target)
    below = [path for path in files_in(tmp_path) if not path.endswith("data.yaml")]
    if written is None:
        assert (below, losses) == (
            [],
            [Loss(what="picture whose name no file can have", where=name, detail="1 regions")],
        )
    else:
        assert (below, losses) == ([f"in/out/{SUFFIX[target].format(written)}"], [])


@given(name=st.text(st.sampled_from("a./\\:%2e~\0 é"), min_size=1, max_size=12).filter(str.strip))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    write(via_file(entry(name)), folder / "out", "yolo")
    assert [path.name for path in folder.iterdir()] == ["out"]
    assert {path.name for path in (folder / "out").iterdir()} <= {"data.yaml", "labels"}


@both
@pytest.mark.parametrize("names", [("a.png", "a.jpg"), ("b/a.png", "b\\a.png"), ("/x/a.png", "/y/a.png")])
def test_two_pictures_of_one_file_are_refused(target: Target, names: tuple[str, str], tmp_path: Path) -> None:
    file = via_file(*(entry(name) for name in names))
    with pytest.raises(AnnotationError) as caught:
        write(file, tmp_path / "out", target)
    assert all(name in str(caught.value) for name in names)
    assert list(tmp_path.iterdir()) == []


@both
def test_a_folder_that_holds_something_is_left_alone(target: Target, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ParamsError, match="is not an empty folder"):
        write(via_file(entry()), tmp_path, target)
    with pytest.raises(ParamsError, match="is not an empty folder"):
        write(via_file(entry()), tmp_path / "mine", target)
    assert files_in(tmp_path) == ["mine"]


@both
def test_an_empty_folder_is_filled(target: Target, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(via_file(entry()), tmp_path / "out", target)
    assert files_in(tmp_path / "out") != []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@both
def test_sizes_must_be_known(target: Target, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"a\.png: .*\n  fix: .*--images"):
        write(via_file(entry("a.png", Rect(0, 0, 1, 1))), tmp_path / "out", target, sizes={})
    assert list(tmp_path.iterdir()) == []


def test_yolo_needs_no_size_of_a_picture_without_regions(tmp_path: Path) -> None:
    write(via_file(entry("a.png")), tmp_path / "out", "yolo", sizes={})
    assert (tmp_path / "out/labels/a.txt").read_bytes() == b""


def test_a_region_far_too_large_is_a_loss(tmp_path: Path) -> None:
    file = via_file(entry("a.png", Rect(-1e308, 0, 1.5e308, 5), Rect(0, 0, math.ldexp(1, 1023), 1e308)))
    assert [loss.what for loss in write(file, tmp_path / "out", "yolo")] == [
        "region too large to be measured"
    ] * 2
