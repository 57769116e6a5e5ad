"""Where the picture is that a VIA file names."""

from pathlib import Path

import pytest

from cnnpipe.formats.picture_lookup import find_picture, index_pictures

FILES = [
    "ann/beside.png",
    "ann/both.png",
    "both.png",
    "img/a.png",
    "img/sub/unique.png",
    "img/one/twice.png",
    "img/two/twice.png",
    "img/Upper.PNG",
    "img/with blank.png",
    "img/50%20off.png",
    "img/caf\u00e9.png",
    "img/#1.png",
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in [*FILES, "../secret.png"]:
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        pytest.param("beside.png", "ann/beside.png", id="beside the annotation file"),
        pytest.param("both.png", "ann/both.png", id="beside comes first"),
        pytest.param("../img/a.png", "img/a.png", id="relative, still inside"),
        pytest.param("img/a.png", "img/a.png", id="relative to images_dir"),
        pytest.param("./img//a.png", "img/a.png", id="not normal"),
        pytest.param("img\\a.png", "img/a.png", id="backslashes"),
        pytest.param("unique.png", "img/sub/unique.png", id="by unique name"),
        pytest.param("elsewhere/unique.png", "img/sub/unique.png", id="other folder, unique name"),
        pytest.param("C:\\Users\\me\\unique.png", "img/sub/unique.png", id="path of Windows"),
        pytest.param("/home/me/unique.png", "img/sub/unique.png", id="absolute path"),
        pytest.param("file:///home/me/unique.png", "img/sub/unique.png", id="file address"),
        pytest.param(
            "https://x.org/p/unique.png?size=5#top", "img/sub/unique.png", id="address with a query"
        ),
        pytest.param("https://x.org/with%20blank.png", "img/with blank.png", id="address, encoded"),
        pytest.param("img/with%20blank.png", "img/with blank.png", id="encoded"),
        pytest.param("50%20off.png", "img/50%20off.png", id="a percent that is meant"),
        pytest.param("#1.png", "img/#1.png", id="a hash that is meant"),
        pytest.param("%231.png", "img/#1.png", id="a hash as VIA writes it"),
    ],
)
def test_found_without_a_word(raw: Path, filename: str, expected: str) -> None:
    assert find_picture(filename, raw / "ann", index_pictures(raw, raw)) == (expected, [])


@pytest.mark.parametrize(
    ("filename", "image_id", "code"),
    [
        pytest.param("upper.png", "img/Upper.PNG", "picture-case", id="case"),
        pytest.param("cafe\u0301.png", "img/caf\u00e9.png", "picture-case", id="decomposed accent"),
        pytest.param("twice.png", None, "picture-ambiguous", id="two files of that name"),
        pytest.param("TWICE.png", None, "picture-ambiguous", id="two, without case"),
        pytest.param("gone.png", None, "picture-missing", id="none"),
        pytest.param("img", None, "picture-missing", id="a folder"),
        pytest.param("..", None, "picture-missing", id="the folder itself"),
        pytest.param("a\0.png", None, "picture-missing", id="a zero byte"),
        pytest.param("x" * 5000, None, "picture-missing", id="too long a name"),
        pytest.param("http://[x/y.png", None, "picture-missing", id="no address"),
        pytest.param("data:image/png;base64,iVBORw0KGgo=", None, "picture-missing", id="a data address"),
        pytest.param("../../secret.png", None, "picture-outside", id="leads out"),
        pytest.param("%2e%2e/%2e%2e/secret.png", None, "picture-missing", id="leads out, encoded"),
        pytest.param("..\\..\\secret.png", None, "picture-outside", id="leads out, backslashes"),
        pytest.param("/etc/passwd", None, "picture-missing", id="absolute: only its name counts"),
    ],
)
def test_what_is_noticed(raw: Path, filename: str, image_id: str | None, code: str) -> None:
    found_id, findings = find_picture(filename, raw / "ann", index_pictures(raw, raw))
    assert found_id == image_id
    assert [finding.code for finding in findings] == [code]


def test_an_ambiguous_name_tells_where_the_files_are(raw: Path) -> None:
    _, [finding] = find_picture("twice.png", raw / "ann", index_pictures(raw, raw))
    assert finding.what == "2 files have this name: img/one/twice.png, img/two/twice.png"


def test_a_link_that_leads_out_is_refused(raw: Path) -> None:
    (raw / "img/link.png").symlink_to(raw.parent / "secret.png")
    (raw / "out").symlink_to(raw.parent)
    index = index_pictures(raw, raw)
    for filename in ("link.png", "img/link.png", "out/secret.png"):
        image_id, [finding] = find_picture(filename, raw / "ann", index)
        assert (image_id, finding.code) == (None, "picture-outside")


def test_a_link_within_is_followed(raw: Path) -> None:
    (raw / "img/link.png").symlink_to(raw / "img/a.png")
    assert find_picture("link.png", raw / "ann", index_pictures(raw, raw)) == ("img/link.png", [])


def test_names_are_looked_for_below_images_dir_only(raw: Path) -> None:
    index = index_pictures(raw, raw / "img/one")
    assert find_picture("twice.png", raw / "ann", index) == ("img/one/twice.png", [])
    assert find_picture("unique.png", raw / "ann", index)[1][0].code == "picture-missing"
