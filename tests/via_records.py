"""Records of VIA files for tests: one that holds everything, and strategies that make any."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from cnnpipe.formats.via.records import DeclaredAttribute, Kind, Part, ViaEntry, ViaFile, ViaRegion
from cnnpipe.geometry.shapes import (
    Circle,
    Ellipse,
    ExtremeCircle,
    ExtremeRect,
    Line,
    PlainShape,
    Point,
    Polygon,
    Polyline,
    Rect,
    Shape,
)

PLAIN_SHAPES: tuple[PlainShape, ...] = (
    Rect(10, 20, 30.5, 40),
    Circle(50, 60, 7.125),
    Ellipse(70, 80, 20, 10, 0.523),
    Polygon((10, 40, 40, 12.5), (10, 10, 40, 38)),
    Polyline((1, 2, 30), (4, 5, 60)),
    Point(3, 4),
)
VIA_3_SHAPES: tuple[Shape, ...] = (
    Line(1, 2, 30, 40),
    ExtremeRect((5, 20, 60, 30), (30, 10, 25, 70)),
    ExtremeCircle((0, 10, 5), (5, 5, 10)),
)

coordinates = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
sizes = st.floats(0, 1e6).map(lambda x: round(x, 3))
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6)
outlines = points.map(lambda p: (tuple(x for x, _ in p), tuple(y for _, y in p)))
plain_shapes: st.SearchStrategy[PlainShape] = st.one_of(
    st.builds(Rect, coordinates, coordinates, sizes, sizes),
    st.builds(Circle, coordinates, coordinates, sizes),
    st.builds(Ellipse, coordinates, coordinates, sizes, sizes, st.floats(-4, 4)),
    outlines.map(lambda xy: Polygon(*xy)),
    outlines.map(lambda xy: Polyline(*xy)),
    st.builds(Point, coordinates, coordinates),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = texts.filter(lambda text: bool(text) and "," not in text)
values = st.one_of(
    texts,
    st.floats(-1e9, 1e9),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.none(),
    st.dictionaries(ids, st.just(True), max_size=3),
)
attributes = st.dictionaries(texts.filter(bool), values, max_size=3)
declarations = st.one_of(
    st.builds(DeclaredAttribute, type=st.just("text"), options=st.just({}), default_value=texts),
    st.builds(
        DeclaredAttribute,
        type=st.sampled_from(["checkbox", "radio", "dropdown", "image"]),
        options=st.dictionaries(ids, texts, max_size=3),
        description=texts,
        default_options=st.dictionaries(ids, st.just(True), max_size=2),
    ),
)


@st.composite
def entries(
    draw: st.DrawFn,
    *,
    names: st.SearchStrategy[str] = texts,
    shapes: st.SearchStrategy[Shape] = plain_shapes,
    of_regions: st.SearchStrategy[dict[str, Any]] = attributes,
    of_files: st.SearchStrategy[dict[str, Any]] = attributes,
) -> ViaEntry:
    regions = draw(
        st.lists(st.tuples(st.none() | shapes if shapes is plain_shapes else shapes, of_regions), max_size=3)
    )
    return entry(
        draw(names.filter(str.strip)),
        *(
            ViaRegion(number=number, shape=shape, attributes=held)
            for number, (shape, held) in enumerate(regions)
        ),
        size_bytes=draw(st.none() | st.integers(1, 10**9)),
        file_attributes=draw(of_files),
    )


def files(each: st.SearchStrategy[ViaEntry]) -> st.SearchStrategy[ViaFile]:
    return st.lists(each, max_size=4, unique_by=lambda one: one.key).map(lambda many: via_file(*many))


def entry(
    filename: str = "a.png",
    *regions: ViaRegion | Shape,
    size_bytes: int | None = 5,
    key: str | None = None,
    file_attributes: dict[str, Any] | None = None,
    width: int | None = None,
    height: int | None = None,
) -> ViaEntry:
    """Return an entry; a shape alone is a region of class `cat`."""
    return ViaEntry(
        key=f"{filename}{-1 if size_bytes is None else size_bytes}" if key is None else key,
        filename=filename,
        size_bytes=size_bytes,
        regions=tuple(
            each
            if isinstance(each, ViaRegion)
            else ViaRegion(number=number, shape=each, attributes={"class": "cat"})
            for number, each in enumerate(regions)
        ),
        file_attributes=file_attributes or {},
        findings=(),
        width=width,
        height=height,
    )


def region(shape: Shape | None, number: int = 0, /, **held: Any) -> ViaRegion:
    return ViaRegion(number=number, shape=shape, attributes=held)


def via_file(
    *held: ViaEntry,
    kind: Kind = "annotations-json",
    attributes: Mapping[Part, Mapping[str, DeclaredAttribute]] | None = None,
    order: tuple[str, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ViaFile:
    return ViaFile(
        kind=kind,
        version="2",
        entries=held,
        attributes=attributes or {"region": {}, "file": {}},
        image_order=tuple(each.key for each in held) if order is None else order,
        findings=(),
        num_images=len(held),
        num_regions=sum(len(each.regions) for each in held),
        settings=settings or {},
    )


def held_by(entry: ViaEntry) -> tuple[Any, ...]:
    """Return what an entry says, whatever number its regions have."""
    regions = [(region.shape, region.attributes) for region in entry.regions]
    return entry.key, entry.filename, entry.size_bytes, regions, entry.file_attributes


def everything() -> ViaFile:
    """Return a project with every shape of VIA 2, every type of attribute and names that are awkward."""
    declared: dict[Part, dict[str, DeclaredAttribute]] = {
        "region": {
            "class": DeclaredAttribute(type="dropdown", options={"cat": "a cat", "dog": ""}),
            "note": DeclaredAttribute(type="text", options={}, description="free", default_value="-"),
            "parts": DeclaredAttribute(
                type="checkbox", options={"ear": "Ohr", "tail": ""}, default_options={"ear": True}
            ),
            "side": DeclaredAttribute(type="radio", options={"l": "left", "r": "right"}),
            "look": DeclaredAttribute(type="image", options={"x.png": "x"}),
        },
        "file": {
            "good": DeclaredAttribute(type="radio", options={"y": "yes", "n": "no"}),
            "tags": DeclaredAttribute(type="checkbox", options={"a": "", "b": ""}),
            "caption": DeclaredAttribute(type="text", options={}),
        },
    }
    of_region = {
        "class": "cat",
        "note": 'a "quoted", text\nof two lines: 靴 \\ </script>',
        "parts": {"ear": True, "tail": True},
        "side": "l",
        "look": "x.png",
        "not declared": "free text",
    }
    drawn = [
        ViaRegion(number=number, shape=shape, attributes=of_region)
        for number, shape in enumerate(PLAIN_SHAPES)
    ]
    return via_file(
        entry("a b.png", *drawn, file_attributes={"good": "y", "tags": {"a": True}, "caption": "no “comma”"}),
        entry("below/ä#1.png", size_bytes=None),
        entry("http://localhost/c%20d.jpg", Rect(1, 2, 3, 4), size_bytes=77),
        kind="project-json",
        attributes=declared,
        order=("a b.png5", "http://localhost/c%20d.jpg77", "below/ä#1.png-1"),
        settings={
            "ui": {"image": {"region_label": "class"}, "leftsidebar_width": 20},
            "core": {"buffer_size": 18, "filepath": {}, "default_filepath": "pictures/"},
            "project": {"name": "every 形"},
        },
    )
