"""Pictures are found as a person means them, each once, and named from one root."""

import os
from pathlib import Path

import pytest

from cnnpipe.errors import DataError
from cnnpipe.formats.picture_files import PictureFiles, find_pictures


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with pictures (their content does not matter here) and other files."""
    for name in (
        "b.jpg",
        "a/2.PNG",
        "a/10.jpg",
        "a/notes.txt",
        "a/deep/x.webp",
        ".hidden/h.jpg",
        "a/._2.PNG",
    ):
        path = tmp_path / "shots" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "other.tif").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(*arguments: str, leave_out: str = "out") -> PictureFiles:
    return find_pictures(arguments, leave_out=Path(leave_out))


def test_a_folder_is_walked_in_order_without_hidden_and_other_files(here: Path) -> None:
    found = find("shots")
    assert found.root == here / "shots"
    assert list(found.names) == ["b.jpg", "a/10.jpg", "a/2.PNG", "a/deep/x.webp"]
    assert list(found.notes) == []


@pytest.mark.parametrize(
    ("arguments", "root", "names"),
    [
        pytest.param(["shots/a/2.PNG"], "shots/a", ["2.PNG"], id="file"),
        pytest.param(
            ["shots/a", "other.tif"], ".", ["shots/a/10.jpg", "shots/a/2.PNG"], id="folder and file"
        ),
        pytest.param(["shots/a/notes.txt"], "shots/a", ["notes.txt"], id="whatever is named"),
        pytest.param(["shots/**/*.jpg"], "shots", ["a/10.jpg", "b.jpg"], id="pattern"),
        pytest.param(["shots/*/deep"], "shots/a/deep", ["x.webp"], id="pattern of folders"),
        pytest.param(["shots/b.jpg", "missing.jpg"], ".", ["shots/b.jpg", "missing.jpg"], id="missing file"),
        pytest.param(["./shots/../shots/b.jpg"], "shots", ["b.jpg"], id="roundabout"),
    ],
)
def test_arguments_are_files_folders_and_patterns(
    here: Path, arguments: list[str], root: str, names: list[str]
) -> None:
    found = find(*arguments)
    assert found.root == (here / root)
    assert list(found.names)[: len(names)] == names


def test_a_picture_that_is_named_twice_is_there_once(here: Path) -> None:
    (here / "link.jpg").symlink_to("shots/b.jpg")
    (here / "again").symlink_to("shots")
    found = find("shots/b.jpg", str(here / "shots/b.jpg"), "shots", "link.jpg", "again")
    assert sorted(found.names) == ["shots/a/10.jpg", "shots/a/2.PNG", "shots/a/deep/x.webp", "shots/b.jpg"]
    assert found.names[0] == "shots/b.jpg"


def test_a_linked_folder_keeps_the_name_it_was_given(here: Path) -> None:
    (here / "again").symlink_to("shots")
    assert find("again").root == here / "again"


def test_a_loop_of_links_is_passed_over(here: Path) -> None:
    (here / "shots/loop").symlink_to(here / "shots")
    (here / "shots/self.jpg").symlink_to("self.jpg")
    assert len(find("shots").names) == 5  # self.jpg, which cannot be read, among them


def test_a_list_names_pictures_by_line(here: Path) -> None:
    Path("list.txt").write_bytes("\ufeffshots/b.jpg\r\n\nother.tif\r\nshots/a/deep\n".encode())
    assert list(find("@list.txt").names) == ["shots/b.jpg", "other.tif", "shots/a/deep/x.webp"]


def test_a_list_is_taken_by_the_letter(here: Path) -> None:
    Path("x[1].jpg").write_bytes(b"")
    Path("x1.jpg").write_bytes(b"")
    Path("list.txt").write_text("x[1].jpg\n", encoding="utf-8")
    assert list(find("@list.txt").names) == ["x[1].jpg"]
    assert list(find("x[1].jpg").names) == ["x[1].jpg"]  # a file of that very name comes before a pattern


@pytest.mark.parametrize(
    ("name", "what"), [("none.txt", "the list cannot be read: No such file"), ("binary", "is not a text")]
)
def test_a_list_that_is_none_is_refused(here: Path, name: str, what: str) -> None:
    Path("binary").write_bytes(b"\xff\xd8\0\0")
    with pytest.raises(DataError, match=what):
        find(f"@{name}")


def test_what_a_former_run_drew_is_no_picture(here: Path) -> None:
    drawn = here / "shots/out/drawn/b.jpg.jpg"
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"")
    assert list(find("shots", leave_out="shots/out/drawn").names) == list(find("shots").names)[:-1]


def test_names_that_are_no_unicode_are_found(here: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    (here / "shots" / name).write_bytes(b"")
    assert name in find("shots").names


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        pytest.param(["shots/a/deep/*.jpg"], "no picture in there", id="pattern"),
        pytest.param(["empty"], "no picture in there", id="folder"),
        pytest.param(["shotz"], "shotz: no such file or folder", id="missing"),
        pytest.param(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], r"a\.jpg, b\.jpg, c\.jpg, …: no such", id="many"),
    ],
)
def test_nothing_found_is_refused_and_says_what_counts(here: Path, arguments: list[str], what: str) -> None:
    (here / "empty").mkdir()
    with pytest.raises(DataError, match=what) as caught:
        find(*arguments)
    assert caught.value.exit_code == 3
    assert ".jpeg" in caught.value.fix


def test_a_pattern_without_a_match_is_noted_where_others_match(here: Path) -> None:
    assert list(find("shots/b.jpg", "*.JPG").notes) == ["*.JPG: no file matches"]
