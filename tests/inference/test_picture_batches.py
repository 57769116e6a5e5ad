"""Pictures come in order and in bounded batches; a bad one takes its place with the reason."""

import os
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnpipe.inference import picture_batches as module
from cnnpipe.inference.picture_batches import (
    BATCH_SIZE,
    LoadedPicture,
    Reading,
    load_picture,
    picture_batches,
)


def write(folder: Path, name: str, *, side_px: int = 8) -> str:
    Image.fromarray(np.full((side_px, side_px, 3), 100, dtype=np.uint8)).save(folder / name)
    return name


def reading(folder: Path, *, max_pixels: int = 10_000) -> Reading:
    return Reading(root=folder, channels=3, max_pixels=max_pixels)


def batches(names: list[str], folder: Path) -> list[list[LoadedPicture]]:
    with closing(picture_batches(names, reading(folder))) as found:
        return list(found)


def test_pictures_keep_their_order_over_batches(tmp_path: Path) -> None:
    names = [write(tmp_path, f"{number}.png", side_px=1 + number) for number in range(2 * BATCH_SIZE + 3)]
    names.insert(5, "missing.png")
    found = batches(names, tmp_path)
    assert [len(batch) for batch in found] == [BATCH_SIZE, BATCH_SIZE, 4]
    assert [picture.name for batch in found for picture in batch] == names
    assert [picture.pixels is None for picture in found[0]].index(True) == 5


def test_a_batch_ends_when_it_holds_enough_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", 2 * 8 * 8 * 3)
    names = [write(tmp_path, f"{number}.png") for number in range(5)]
    assert [len(batch) for batch in batches(names, tmp_path)] == [2, 2, 1]


def test_no_picture_is_no_batch(tmp_path: Path) -> None:
    assert batches([], tmp_path) == []


def test_few_pictures_are_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def load(name: str, _reading: Reading) -> LoadedPicture:
        started.append(name)
        return LoadedPicture(name=name, pixels=np.zeros((1, 1, 3), dtype=np.uint8))

    monkeypatch.setattr(module, "load_picture", load)
    with closing(picture_batches((str(number) for number in range(1000)), reading(tmp_path))) as found:
        next(found)
        assert len(started) <= BATCH_SIZE + 4


def test_closing_ends_the_threads(tmp_path: Path) -> None:
    names = [write(tmp_path, f"{number}.png") for number in range(2 * BATCH_SIZE)]
    before = threading.active_count()
    with closing(picture_batches(names, reading(tmp_path))) as found:
        next(found)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("name", "has_size", "error"),
    [
        pytest.param("text.jpg", True, "cannot be read as a picture: no known format", id="text"),
        pytest.param("cut.png", True, "cannot be read as a picture: ", id="cut off"),
        pytest.param("large.png", True, "has 200 x 200 = 40000 pixels, more than 10000", id="too large"),
        pytest.param("gone.png", False, "file not found", id="gone"),
        pytest.param("folder.png", True, "is not a file", id="folder"),
        pytest.param("pipe.png", True, "is not a file", id="pipe"),
        pytest.param("loop.png", False, "cannot be read: Too many levels of symbolic links", id="loop"),
        pytest.param("text.jpg/inner.png", False, "cannot be read: Not a directory", id="below a file"),
        pytest.param(os.fsdecode(b"\xff.png"), True, "its name is not Unicode", id="name"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, has_size: bool, error: str) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    whole = tmp_path / write(tmp_path, "whole.png", side_px=90)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-40])
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(whole.read_bytes())
    write(tmp_path, "large.png", side_px=200)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = load_picture(name, reading(tmp_path))
    assert (found.pixels, found.sha256) == (None, None)
    assert (found.size_bytes is not None) is has_size
    assert found.error is not None
    assert found.error.startswith(error)
