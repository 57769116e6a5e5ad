"""In the layout of a new project, stage `ingest` finds the pictures that the files name where they lie."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import entry, write_via

from cnnpipe.formats.picture_lookup import find_picture, index_pictures
from cnnpipe.projects.layout import free_name, lay_out
from cnnpipe.projects.originals import Originals, read_originals

ODD = ["a b.png", "ü.png", "稲.PNG", "#1.png", "a%20b.png", "x,y.png", "[1].png", "a{b}$c.png", "İ.png"]


def make(folder: Path, pictures: Sequence[str], annotations: dict[str, Sequence[str]]) -> Originals:
    """Write pictures (each with its path as content) below folder/pictures, and VIA files naming others."""
    for name in pictures:
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    for target, names in annotations.items():
        write_via(folder / target, [entry(name) for name in names])
    (folder / "pictures").mkdir(exist_ok=True)
    return read_originals([folder / target for target in annotations], folder / "pictures")


def found_in_layout(originals: Originals, raw: Path) -> dict[tuple[int, str], bytes]:
    """Carry the layout out by copying; return what each name means there, by number of the file."""
    layout = lay_out(originals)
    for image_id in {each.image_id for each in originals.named} | originals.namesakes:
        target = raw / layout.images_dir / image_id
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(originals.images_dir / image_id, target)
    for annotations, name in zip(originals.annotations, layout.annotations, strict=True):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(annotations.path, raw / name)
    (raw / layout.images_dir).mkdir(parents=True, exist_ok=True)
    folder = index_pictures(raw, raw / layout.images_dir)
    found = {}
    for number, (annotations, name) in enumerate(zip(originals.annotations, layout.annotations, strict=True)):
        find = partial(find_picture, beside=(raw / name).parent, folder=folder)
        for each in annotations.file.entries:
            meant, _ = find(each.filename)
            if meant is not None:
                found[number, each.filename] = (raw / meant).read_bytes()
    return found


def found_in_place(originals: Originals) -> dict[tuple[int, str], bytes]:
    return {
        (number, each.entry.filename): (originals.images_dir / each.image_id).read_bytes()
        for number, annotations in enumerate(originals.annotations)
        for each in annotations.named
    }


@pytest.mark.parametrize(
    ("pictures", "annotations", "expected"),
    [
        pytest.param(
            ["a.png"],
            {"pictures/via.json": ["a.png"]},
            ("images", ["images/via.json"]),
            id="beside the pictures",
        ),
        pytest.param(
            ["train/a.png", "val/a.png", "val/b.png"],
            {"pictures/train/via.json": ["a.png"], "pictures/val/via.json": ["a.png", "b.png"]},
            ("images", ["images/train/via.json", "images/val/via.json"]),
            id="one per split, equal names",
        ),
        pytest.param(
            ["sub/a.png"],
            {"via.json": ["C:\\photos\\a.png"], "pictures/via.json": ["/home/me/a.png"]},
            ("images", ["annotations/via.json", "images/via.json"]),
            id="outside and inside, foreign paths",
        ),
        pytest.param(
            ["a.png", "b.png"],
            {"one/via.json": ["a.png"], "two/via.json": ["b.png"]},
            ("images", ["annotations/via.json", "annotations/via_2.json"]),
            id="equal names outside",
        ),
        pytest.param(
            ["a.png", "images/a.png"],
            {"notes/via.json": ["images/a.png"]},
            ("images", ["annotations/via.json"]),
            id="a folder that is called as in the layout",
        ),
        pytest.param(
            ["a.png", "sub/a.png"],
            {"notes/via.json": ["../pictures/a.png"]},
            ("pictures", ["notes/via.json"]),
            id="a path that leads up",
        ),
    ],
)
def test_the_layout(
    tmp_path: Path,
    pictures: list[str],
    annotations: dict[str, Sequence[str]],
    expected: tuple[str, list[str]],
) -> None:
    originals = make(tmp_path / "user", pictures, annotations)
    layout = lay_out(originals)
    assert (layout.images_dir, list(layout.annotations)) == expected
    assert len(originals.named) == sum(map(len, annotations.values()))
    assert found_in_layout(originals, tmp_path / "raw") == found_in_place(originals)


names = st.sampled_from(["a.png", "A.png", "b.png", *ODD])
paths = st.builds(
    "/".join,
    st.lists(st.sampled_from(["x", "Y z", "images", "annotations"]), max_size=2).flatmap(
        lambda parents: names.map(lambda name: [*parents, name])
    ),
)
spelled = st.one_of(
    paths,
    names,
    paths.map(lambda path: path.replace("/", "\\")),
    paths.map(lambda path: f"/home/x/{path}"),
    paths.map(lambda path: f"D:\\{path}"),
    paths.map(lambda path: f"https://host/{path.replace(' ', '%20')}"),
    paths.map(lambda path: f"../pictures/{path}"),
    st.just("gone.png"),
)
places = st.sampled_from(
    [
        "via.json",
        "notes/via.json",
        "notes/deep/via.json",
        "pictures/via.json",
        "pictures/x/via.json",
        "pictures/#.json",
    ]
)


@settings(max_examples=100)
@given(
    st.lists(paths, min_size=1, max_size=6, unique=True),
    st.dictionaries(places, st.lists(spelled, min_size=1, max_size=4, unique=True), min_size=1, max_size=3),
)
def test_the_same_pictures_are_found(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: list[str],
    annotations: dict[str, Sequence[str]],
) -> None:
    folder = tmp_path_factory.mktemp("layout")
    originals = make(folder / "user", pictures, annotations)
    assert found_in_layout(originals, folder / "raw") == found_in_place(originals)


def test_what_is_ambiguous_stays_so(tmp_path: Path) -> None:
    originals = make(tmp_path, ["x/a.png", "y/a.png"], {"one.json": ["a.png"], "two.json": ["x/a.png"]})
    assert [each.image_id for each in originals.named] == ["x/a.png"]
    assert originals.namesakes == {"x/a.png", "y/a.png"}
    assert found_in_layout(originals, tmp_path / "raw") == {(1, "x/a.png"): b"x/a.png"}


def test_links_are_taken_for_what_they_point_to(tmp_path: Path) -> None:
    (tmp_path / "store/sub").mkdir(parents=True)
    (tmp_path / "store/1234").write_bytes(b"picture")
    (tmp_path / "store/sub/b.png").write_bytes(b"other")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").symlink_to(tmp_path / "store/1234")
    (tmp_path / "pictures/sub").symlink_to(tmp_path / "store/sub")
    (tmp_path / "a.png").write_bytes(b"beside the annotation file, but not among the pictures")
    originals = make(tmp_path, [], {"via.json": ["a.png", "sub/b.png", "../store/1234"]})
    assert [each.image_id for each in originals.named] == ["a.png", "sub/b.png"]
    assert [finding.code for finding in originals.findings] == ["picture-outside"]
    assert set(found_in_layout(originals, tmp_path / "raw").values()) == {b"picture", b"other"}


def test_the_same_file_twice_is_taken_once(tmp_path: Path) -> None:
    originals = make(tmp_path, ["a.png"], {"one.json": ["a.png"], "two.json": ["a.png"]})
    assert [annotations.path.name for annotations in originals.annotations] == ["one.json"]
    [finding] = originals.findings
    assert (finding.code, finding.fix) == ("file-repeated", "name it once")


@pytest.mark.parametrize(
    ("wanted", "taken", "free"),
    [
        ("via.json", [], "via.json"),
        ("via.json", ["via.json", "via_2.json"], "via_3.json"),
        ("x/via.json", ["via.json"], "x/via.json"),
        ("folder", ["folder"], "folder_2"),
    ],
)
def test_a_free_name(wanted: str, taken: list[str], free: str) -> None:
    assert free_name(wanted, taken) == free
