"""One call for every format: what is in the table, what is refused, and that nothing is left half written."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from via_records import entry, everything, region, via_file

from cnnpipe.errors import AnnotationError, DataError, ParamsError
from cnnpipe.formats.via.convert import (
    FILE_WRITERS,
    FOLDER_WRITERS,
    TARGETS,
    ConvertOptions,
    Target,
    convert,
    guess_labelling,
)
from cnnpipe.formats.via.labelling import Labelling
from cnnpipe.formats.via.read import read_via
from cnnpipe.formats.via.records import DeclaredAttribute, Kind, ViaFile
from cnnpipe.geometry.shapes import Circle, Rect

ALL = get_args(Target)
every_target = pytest.mark.parametrize("target", ALL)


def options(file: ViaFile) -> ConvertOptions:
    return ConvertOptions(sizes={each.key: (640, 480) for each in file.entries})


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_the_table_holds_every_target() -> None:
    assert sorted(TARGETS) == sorted(ALL)
    assert set(FOLDER_WRITERS) == {"yolo", "voc"}


@every_target
def test_everything_is_written_twice_alike(target: Target, tmp_path: Path) -> None:
    file = everything()
    for name in ("a", "b"):
        convert(file, tmp_path / name, target, options(file))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    if target in FOLDER_WRITERS:
        written = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
        assert written
        for path in written:
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    else:
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@every_target
def test_a_file_without_pictures_is_written(target: Target, tmp_path: Path) -> None:
    assert convert(via_file(), tmp_path / "out", target, ConvertOptions()) == []
    assert (tmp_path / "out").exists()


@every_target
def test_losses_say_what_where_and_each_once(target: Target, tmp_path: Path) -> None:
    file = everything()
    losses = convert(file, tmp_path / "out", target, options(file))
    names = {each.filename for each in file.entries}
    assert all(loss.what and (loss.where == "" or loss.where in names) for loss in losses)
    assert len(losses) == len({(loss.what, loss.where, loss.region, loss.detail) for loss in losses})


@pytest.mark.parametrize("target", ["via1-json", "via2-json", "via2-project", "via2-csv", "via3-project"])
def test_a_region_that_no_via_draws_leaves_nothing_behind(target: Target, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: a region cannot be written: its size is negative: -1"):
        convert(via_file(entry("a.png", Circle(0, 0, -1))), tmp_path / "out", target, ConvertOptions())
    assert list(tmp_path.iterdir()) == []


@every_target
def test_an_attribute_nested_without_end_is_refused(target: Target, tmp_path: Path) -> None:
    file = via_file(entry("a.png", region(Rect(0, 0, 1, 1), 0, **{"class": nested(3_000)})))
    with pytest.raises(AnnotationError, match="nested too deeply"):
        convert(file, tmp_path / "out", target, options(file))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", FILE_WRITERS)
def test_half_of_a_surrogate_pair_is_refused(target: Target, tmp_path: Path) -> None:
    file = via_file(entry("a.png", region(Rect(0, 0, 1, 1), 0, **{"class": "\ud800"})))
    with pytest.raises(AnnotationError, match="half of a surrogate pair"):
        convert(file, tmp_path / "out", target, options(file))
    assert list(tmp_path.iterdir()) == []


@every_target
def test_a_place_that_cannot_be_written_is_an_error(target: Target, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ParamsError, match="cannot be written"):
        convert(via_file(entry()), tmp_path / "file" / "out", target, options(via_file(entry())))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_is_not_written_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="is a folder"):
        convert(via_file(entry()), tmp_path, "via2-json", ConvertOptions())


@pytest.mark.parametrize(
    ("kind", "names"), [("project-json", {}), ("via3-project", {"0": "cat"}), ("via3-csv", {"0": "cat"})]
)
def test_a_label_is_guessed(kind: Kind, names: dict[str, str]) -> None:
    declared = {"k": DeclaredAttribute(type="dropdown", options={"0": "cat", "1": ""})}
    file = via_file(
        entry(
            "a.png",
            region(None, 0, k="0", note="x"),
            region(None, 1, k="1", note="y"),
            region(None, 2, k="1"),
        ),
        entry("b.png", region(None, 0, note="z")),
        kind=kind,
        attributes={"region": declared, "file": {}},
    )
    assert guess_labelling(file) == Labelling(attribute="k", names=names)


def test_without_any_attribute_there_is_no_label() -> None:
    assert guess_labelling(via_file(entry("a.png", region(Rect(0, 0, 1, 1))))) == Labelling(attribute=None)


@pytest.mark.parametrize("kind", ["coco-json", "via3-project", "via3-csv"])
@pytest.mark.parametrize("target", ["via1-json", "via2-json", "via2-project"])
def test_numbers_for_keys_become_names(kind: Kind, target: Target, tmp_path: Path) -> None:
    entries = [
        entry("a.png", key="1", size_bytes=None),
        entry("b.png", key="2"),
        entry("a.png", key="3", size_bytes=None),
    ]
    file = msgspec.structs.replace(via_file(*entries), kind=kind, image_order=("3", "2", "1"))
    convert(file, tmp_path / "out", target, ConvertOptions())
    again = read_via(tmp_path / "out", where="out")
    keys = [each.key for each in again.entries]
    assert sorted(keys) == sorted(set(keys)) == sorted(again.image_order)
    # VIA 2 would take a leading number for the id of the picture
    assert [key.startswith(each.filename) for key, each in zip(keys, again.entries, strict=True)] == [
        True
    ] * 3
    if target == "via2-project":
        by_key = {each.key: each.filename for each in again.entries}
        assert [by_key[key] for key in again.image_order] == ["a.png", "b.png", "a.png"]
