"""Pictures of every form become 8-bit RGB or grey, upright, and never by clipping."""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from synthetic import noise_picture

from cnnpipe.errors import DataError
from cnnpipe.formats.pictures import decode_picture, is_sideways, read_header, read_picture

LIMIT = 10**8


def save(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def read(path: Path, channels: Literal[1, 3] = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    pixels = read_picture(path, channels=channels, max_pixels=LIMIT)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == channels
    return pixels


def test_rgb_and_grey_are_read_as_they_are(tmp_path: Path) -> None:
    rgb, grey = noise_picture(1), noise_picture(1).convert("L")
    np.testing.assert_array_equal(read(save(rgb, tmp_path / "a.png")), np.asarray(rgb))
    path = save(grey, tmp_path / "b.png")
    np.testing.assert_array_equal(read(path, 1)[:, :, 0], np.asarray(grey))
    np.testing.assert_array_equal(read(path), np.asarray(grey)[:, :, None].repeat(3, axis=2))
    np.testing.assert_array_equal(read(tmp_path / "a.png", 1)[:, :, 0], np.asarray(rgb.convert("L")))


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled_and_never_clipped(tmp_path: Path, dtype: str, channels: Literal[1, 3]) -> None:
    values = np.array([[0, 128, 129, 255, 256, 32767, 32768, 65406, 65407, 65535]], dtype=dtype)
    path = save(Image.fromarray(values), tmp_path / "a.tif")
    expected = [0, 0, 1, 1, 1, 127, 128, 254, 255, 255]  # 65535 is 255: rounded, value / 257
    np.testing.assert_array_equal(read(path, channels)[0, :, 0], expected)


def test_a_16_bit_png_and_its_8_bit_twin_are_alike(tmp_path: Path) -> None:
    grey = np.asarray(noise_picture(2).convert("L"))
    deep = save(Image.fromarray(grey.astype(np.uint16) * 257), tmp_path / "deep.png")
    assert decode_picture(deep, channels=1, max_pixels=LIMIT).mode.startswith("I")
    np.testing.assert_array_equal(read(deep, 1)[:, :, 0], grey)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([[0, 65535, 257]], dtype=np.int32), [0, 255, 1], id="integers within 16 bits"),
        pytest.param(np.array([[0, 200, 100]], dtype=np.int32), [0, 1, 0], id="dark integers stay dark"),
        pytest.param(np.array([[-100, 0, 100]], dtype=np.int32), [0, 128, 255], id="negative integers"),
        pytest.param(np.array([[0, 50_000, 100_000]], dtype=np.int32), [0, 128, 255], id="large integers"),
        pytest.param(np.array([[0.0, 0.5, 1.0]], dtype=np.float32), [0, 128, 255], id="floats up to 1"),
        pytest.param(np.array([[0.0, 100.0, 255.0]], dtype=np.float32), [0, 100, 255], id="floats up to 255"),
        pytest.param(
            np.array([[0.0, 257.0, 65535.0]], dtype=np.float32), [0, 1, 255], id="floats up to 65535"
        ),
        pytest.param(np.array([[-1.0, 0.0, 1.0]], dtype=np.float32), [0, 128, 255], id="negative floats"),
        pytest.param(np.array([[np.nan, 1.0, np.inf]], dtype=np.float32), [0, 255, 0], id="not finite"),
        pytest.param(np.array([[0.0, 0.0]], dtype=np.float32), [0, 0], id="all zero"),
        pytest.param(np.array([[-5, -5]], dtype=np.int32), [0, 0], id="all the same, below zero"),
    ],
)
def test_32_bits_are_scaled(tmp_path: Path, values: Any, expected: list[int]) -> None:
    path = save(Image.fromarray(values), tmp_path / "a.tif")
    np.testing.assert_array_equal(read(path, 1)[0, :, 0], expected)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.array([[True, False]])), tmp_path / "a.png")
    assert decode_picture(path, channels=3, max_pixels=LIMIT).mode == "1"
    np.testing.assert_array_equal(read(path), [[[255] * 3, [0] * 3]])


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    # a hidden colour, half a red, and a full blue
    pixels = np.array([[[9, 9, 9, 0], [255, 0, 0, 128], [0, 0, 255, 255]]], dtype=np.uint8)
    expected = [[[255, 255, 255], [255, 127, 127], [0, 0, 255]]]
    np.testing.assert_array_equal(read(save(Image.fromarray(pixels), tmp_path / "a.png")), expected)
    grey = Image.fromarray(np.array([[[9, 0], [0, 255]]], dtype=np.uint8), "LA")
    np.testing.assert_array_equal(read(save(grey, tmp_path / "b.png"), 1)[0, :, 0], [255, 0])


def test_a_palette_gives_its_colours_and_its_hole(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    plain = save(picture, tmp_path / "plain.png")
    np.testing.assert_array_equal(read(plain), [[[10, 20, 30], [200, 100, 50]]])
    for name, transparency in (("one.png", 0), ("bytes.png", b"\x00\xff"), ("one.gif", 0)):
        holed = save(picture, tmp_path / name, transparency=transparency)
        np.testing.assert_array_equal(read(holed), [[[255, 255, 255], [200, 100, 50]]])


def test_a_transparent_colour_of_an_rgb_picture_is_a_hole(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8))
    path = save(picture, tmp_path / "a.png", transparency=(1, 2, 3))
    np.testing.assert_array_equal(read(path), [[[255, 255, 255], [4, 5, 6]]])


def test_cmyk_is_converted(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=100)
    assert decode_picture(path, channels=3, max_pixels=LIMIT).mode == "CMYK"
    red = read(path)[4, 4].astype(int)
    assert red[0] > 240
    assert red[1:].max() < 15


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_pictures_are_turned_as_pillow_turns_them(tmp_path: Path, orientation: int, mode: str) -> None:
    stored = noise_picture(3, width=12, height=8)
    if mode == "I;16":
        stored = Image.fromarray(np.asarray(stored.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(stored, tmp_path / "a.png", exif=exif)
    decoded = decode_picture(path, channels=1, max_pixels=LIMIT)
    assert decoded.exif_orientation == orientation
    assert is_sideways(orientation) == (decoded.pixels.shape[:2] == (12, 8))
    with Image.open(path) as reopened:
        expected = np.asarray(ImageOps.exif_transpose(reopened))
    expected = np.asarray(Image.fromarray(expected).convert("L")) if mode == "RGB" else expected // 257
    np.testing.assert_array_equal(decoded.pixels[:, :, 0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    # Pillow turns a TIFF itself while it decodes it
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = noise_picture(3, width=12, height=8)
    tiff, png = (save(stored, tmp_path / name, exif=exif) for name in ("a.tif", "a.png"))
    np.testing.assert_array_equal(read(tiff), read(png))


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_orientation_that_does_not_exist_is_none(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(noise_picture(3, width=12, height=8), tmp_path / "a.png", exif=exif)
    assert decode_picture(path, channels=3, max_pixels=LIMIT).exif_orientation == 1


def test_of_several_frames_the_first_counts(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    path = save(first, tmp_path / "a.gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read(path)[0, 0], [255, 0, 0])


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("1", (4_000, 3_000)).save(content, "PNG")
    path = tmp_path / "bomb.png"
    path.write_bytes(content.getvalue()[:200])  # decoding would fail: it ends after the header
    with pytest.raises(DataError, match=r"4000 x 3000 = 12000000 pixels, more than 1000000\n  fix: make it"):
        read_picture(path, channels=3, max_pixels=10**6)


def test_max_pixels_may_go_beyond_pillows_own_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(noise_picture(1), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read(path).shape == (32, 32, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "no known format", id="empty"),
        pytest.param(b"hello", "no known format", id="text"),
        pytest.param(
            b"\xff\xd8\xff\xe0" + b"\0" * 40, "cannot be read as a picture", id="head of a JPEG only"
        ),
        pytest.param(
            b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "cannot be read as a picture", id="head of a PNG only"
        ),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        read(path)
    assert str(tmp_path) not in caught.value.what
    assert "0x" not in caught.value.what  # no address in memory: it would differ each time


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_a_picture_that_is_cut_off_is_refused(tmp_path: Path, form: str) -> None:
    content = io.BytesIO()
    noise_picture(4, width=200, height=200).save(content, form)
    path = tmp_path / "cut"
    path.write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
    with pytest.raises(DataError, match="cannot be read as a picture"):
        read(path)


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        read(tmp_path / "gone.png")


@given(st.data())
@settings(max_examples=150)
def test_broken_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = io.BytesIO()
    form = data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "PPM", "TGA"]))
    noise_picture(5, width=20, height=16).save(content, form)
    broken = bytearray(content.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), max_size=6)):
        broken[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("broken") / "picture"
    path.write_bytes(broken[: data.draw(st.integers(0, len(broken)))])
    try:
        read_picture(path, channels=3, max_pixels=10**6)
    except DataError as error:
        assert error.fix  # noqa: PT017 (some are read, some are refused)


def test_pillows_warnings_stay_inside_in_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # 1024 pixels: a warning on each
    paths = [save(noise_picture(number), tmp_path / f"{number}.png") for number in range(40)]
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:  # a warning would be an error here
        shapes = set(pool.map(lambda path: read(path).shape, paths))
    assert shapes == {(32, 32, 3)}
    assert list(warnings.filters) == before
    assert Image.MAX_IMAGE_PIXELS == 700


@pytest.mark.parametrize(
    ("name", "orientation", "size"),
    [("a.jpg", 6, (24, 40)), ("a.jpg", 3, (40, 24)), ("a.png", 1, (40, 24)), ("a.tif", 8, (24, 40))],
)
def test_a_header_tells_the_upright_size(
    tmp_path: Path, name: str, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 24)).save(tmp_path / name, exif=exif)
    header = read_header(tmp_path / name)
    decoded = decode_picture(tmp_path / name, channels=3, max_pixels=1000)
    assert (header.width, header.height) == size == decoded.pixels.shape[1::-1]
    assert (header.mode, header.exif_orientation) == (decoded.mode, decoded.exif_orientation)


def test_a_header_is_read_without_the_pixels(tmp_path: Path) -> None:
    Image.effect_noise((300, 200), 80).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:2000])  # cut off
    assert read_header(tmp_path / "a.png")[:2] == (300, 200)


@pytest.mark.parametrize("content", [None, b"", b"no picture"], ids=["missing", "empty", "text"])
def test_what_has_no_header_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: cannot be read as a picture"):
        read_header(path)
