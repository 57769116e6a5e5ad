"""A written project: what is read again, and what VIA needs to open it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from via_records import declarations, entries, entry, everything, files, held_by, ids, region, via_file

from cnnpipe.formats.via.read import parse_via
from cnnpipe.formats.via.records import DeclaredAttribute, Loss, ViaFile
from cnnpipe.formats.via.write_project import write_project
from cnnpipe.geometry.shapes import Rect


def write(file: ViaFile, **options: str) -> tuple[dict[str, Any], list[Loss]]:
    content, losses = write_project(file, **options)
    value: dict[str, Any] = json.loads(content)
    return value, losses


@st.composite
def projects(draw: st.DrawFn) -> ViaFile:
    file = draw(files(entries()))
    declared = st.dictionaries(ids, declarations, max_size=3)
    return msgspec.structs.replace(
        file,
        kind="project-json",
        attributes={"region": draw(declared), "file": draw(declared)},
        image_order=tuple(draw(st.permutations(file.image_order))),
        settings={
            "ui": {"image": {"region_label": draw(ids)}},
            "core": {"buffer_size": draw(st.integers(1, 99)), "filepath": {}, "default_filepath": "x/"},
            "project": {"name": draw(ids)},
        },
    )


@given(projects())
def test_what_is_written_is_read_again(file: ViaFile) -> None:
    content, losses = write_project(file)
    again = parse_via(content, where="p.json")
    assert list(map(held_by, again.entries)) == list(map(held_by, file.entries))
    assert again.image_order == file.image_order
    assert again.settings == file.settings
    for part, declared in file.attributes.items():
        held = again.attributes[part]
        assert {name: held[name] for name in declared} == declared
    assert losses == []
    assert write_project(again)[0] == content


def test_it_holds_all_that_via_needs_and_nothing_it_stops_at() -> None:
    value, _ = write(everything())
    assert list(value) == [
        "_via_settings",
        "_via_img_metadata",
        "_via_attributes",
        "_via_data_format_version",
        "_via_image_id_list",
    ]
    assert value["_via_settings"].keys() == {"ui", "core", "project"}
    assert value["_via_data_format_version"] == "2.0.10"
    for each in value["_via_img_metadata"].values():
        assert each.keys() == {"filename", "size", "regions", "file_attributes"}
        assert isinstance(each["regions"], list)
    for part in ("region", "file"):
        for attribute in value["_via_attributes"][part].values():
            is_text = attribute["type"] == "text"
            assert is_text or (attribute.keys() >= {"options", "default_options"})
            assert not is_text or "default_value" in attribute


@pytest.mark.parametrize(
    ("order", "listed"),
    [
        ((), ["a.png5", "b.png5"]),
        (("b.png5", "a.png5"), ["b.png5", "a.png5"]),
        (("b.png5",), ["b.png5", "a.png5"]),
        (("gone", "b.png5", "b.png5"), ["b.png5", "a.png5"]),
    ],
)
def test_exactly_the_keys_are_listed(order: tuple[str, ...], listed: list[str]) -> None:
    value, _ = write(via_file(entry("a.png"), entry("b.png"), order=order))
    assert value["_via_image_id_list"] == listed
    assert list(value["_via_img_metadata"]) == ["a.png5", "b.png5"]


def test_two_pictures_of_one_key_are_both_listed() -> None:
    value, losses = write(via_file(entry("a.png", key="k"), entry("b.png", key="k")))
    assert value["_via_image_id_list"] == list(value["_via_img_metadata"]) == ["k", "b.png5"]
    assert [loss.what for loss in losses] == ["key that another entry has"]


@pytest.mark.parametrize(
    ("given_path", "written"),
    [
        ("", ""),
        ("pictures", "pictures/"),
        ("/data/x/", "/data/x/"),
        ("C:\\x\\", "C:\\x\\"),
        ("C:\\x", "C:\\x\\"),
    ],
)
def test_the_folder_of_the_pictures_ends_with_a_slash(given_path: str, written: str) -> None:
    by_option, _ = write(via_file(entry()), default_filepath=given_path)
    by_settings, _ = write(via_file(entry(), settings={"core": {"default_filepath": given_path}}))
    for value in (by_option, by_settings):
        assert value["_via_settings"]["core"]["default_filepath"] == written


def test_what_is_asked_for_comes_before_the_settings() -> None:
    settings = {"core": {"default_filepath": "old/"}, "project": {"name": "old"}}
    value, _ = write(via_file(entry(), settings=settings), default_filepath="new", name="new")
    assert value["_via_settings"]["core"]["default_filepath"] == "new/"
    assert value["_via_settings"]["project"]["name"] == "new"


@pytest.mark.parametrize(
    ("settings", "lost"),
    [
        ({"ui": {"image": {"region_label": "c"}}, "core": {"buffer_size": "18"}}, []),
        ({"own": {"a": 1}}, ["own"]),
        ({"ui": 5}, ["ui"]),
        ({"ui": {"panel": {"a": 1}}, "core": {"filepath": 3}}, ["ui: panel", "core: filepath"]),
        ({"ui": {"image": [1]}}, ["ui: image"]),
    ],
)
def test_settings_that_stop_via_are_left_out(settings: dict[str, Any], lost: list[str]) -> None:
    value, losses = write(via_file(entry(), settings=settings))
    what = "settings that VIA 2 does not know"
    assert losses == [Loss(what=what, where="", detail=detail) for detail in lost]
    written = value["_via_settings"]
    assert written.keys() == {"ui", "core", "project"}
    for values in written.values():
        for name, each in values.items():
            assert isinstance(each, dict) == (name in {"image", "image_grid", "filepath"})


@pytest.mark.parametrize(
    ("met", "declared"),
    [
        (
            ["cat", "dog", "cat", "dog"],
            DeclaredAttribute(type="dropdown", options={"cat": "cat", "dog": "dog"}),
        ),
        (["cat", "cat", ""], DeclaredAttribute(type="dropdown", options={"cat": "cat"})),
        (["one", "two", "three"], DeclaredAttribute(type="text", options={})),
        ([f"{i // 2}" for i in range(62)], DeclaredAttribute(type="text", options={})),
        ([3, 3], DeclaredAttribute(type="text", options={})),
        (["cat", {"cat": True}], DeclaredAttribute(type="text", options={})),
        (["", None], DeclaredAttribute(type="text", options={})),
        (
            [{"a": True}, {}, {"b": False}],
            DeclaredAttribute(type="checkbox", options={"a": "a", "b": "b"}),
        ),
    ],
)
def test_what_no_one_declared_is_declared_by_its_values(met: list[Any], declared: DeclaredAttribute) -> None:
    of_regions = via_file(
        entry("a.png", *(region(None, number, c=value) for number, value in enumerate(met)))
    )
    of_files = via_file(
        *(entry(f"{number}.png", file_attributes={"c": value}) for number, value in enumerate(met))
    )
    assert parse_via(write_project(of_regions)[0], where="p").attributes["region"] == {"c": declared}
    assert parse_via(write_project(of_files)[0], where="p").attributes["file"] == {"c": declared}


def test_what_is_declared_stays_as_it_is() -> None:
    declared = {"c": DeclaredAttribute(type="radio", options={"x": "X"}, default_options={"x": True})}
    file = via_file(entry("a.png", region(None, c="y")), attributes={"region": declared, "file": {}})
    assert parse_via(write_project(file)[0], where="p").attributes["region"] == declared


def test_the_same_file_gives_the_same_bytes() -> None:
    assert write_project(everything()) == write_project(everything())


def test_a_size_in_pixels_is_lost() -> None:
    _, losses = write(via_file(entry("a.png", Rect(0, 0, 1, 1), width=4, height=3)))
    assert losses == [Loss(what="size of the picture in pixels", where="a.png", detail="4 x 3")]
