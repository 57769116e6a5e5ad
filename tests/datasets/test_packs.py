import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from toy_views import draw_scene, make_detect_view, make_plan, make_view, noise

from cnnpipe.datasets.packs import open_detect_view, open_view, picture_at, positions_of, write_view
from cnnpipe.datasets.records import PIXELS_FILE, SAMPLES_FILE, VIEW_FILE
from cnnpipe.errors import DataError


@pytest.mark.parametrize("channels", [1, 3])
def test_every_picture_comes_back(tmp_path: Path, channels: int) -> None:
    pictures = make_view(tmp_path, channels=channels, copies=2)
    opened = open_view(tmp_path)
    assert len(opened.samples) == len(pictures) == 24 + 2 * 12
    for position, picture in enumerate(pictures):
        read = picture_at(opened, position)
        assert read.shape == picture.shape
        assert (read == picture).all()


def test_the_view_describes_its_files(tmp_path: Path) -> None:
    pictures = make_view(tmp_path)
    view = open_view(tmp_path).view
    pixels = (tmp_path / PIXELS_FILE).read_bytes()
    assert pixels == b"".join(picture.tobytes() for picture in pictures)
    assert view.num_bytes == len(pixels)
    assert view.pixels_sha256 == hashlib.sha256(pixels).hexdigest()
    assert view.samples_sha256 == hashlib.sha256((tmp_path / SAMPLES_FILE).read_bytes()).hexdigest()
    assert view.num_samples == {"train": 12, "val": 6, "test": 6}


def test_a_view_without_a_split_counts_it_as_zero(tmp_path: Path) -> None:
    make_view(tmp_path, splits=["train"])
    assert open_view(tmp_path).view.num_samples == {"train": 24, "val": 0, "test": 0}


def test_pixels_cannot_be_written_to(tmp_path: Path) -> None:
    make_view(tmp_path)
    before = (tmp_path / PIXELS_FILE).read_bytes()
    opened = open_view(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        opened.pixels[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        picture_at(opened, 0)[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        picture_at(opened, 0).flags.writeable = True
    assert (tmp_path / PIXELS_FILE).read_bytes() == before


def test_positions_of_a_split_are_in_the_order_of_the_view(tmp_path: Path) -> None:
    make_view(tmp_path)
    opened = open_view(tmp_path)
    assert positions_of(opened, "val") == list(range(2, 24, 4))
    every = positions_of(opened, "train") + positions_of(opened, "val") + positions_of(opened, "test")
    assert sorted(every) == list(range(24))


@pytest.mark.parametrize("missing", [VIEW_FILE, SAMPLES_FILE, PIXELS_FILE])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    make_view(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=missing):
        open_view(tmp_path)


@pytest.mark.parametrize("name", [SAMPLES_FILE, PIXELS_FILE])
@pytest.mark.parametrize("change", [pytest.param(-1, id="cut off"), pytest.param(1, id="too long")])
def test_a_torn_file_is_found(tmp_path: Path, name: str, change: int) -> None:
    make_view(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-2] if change < 0 else content + b"\n")
    with pytest.raises(DataError, match=rf"{name}(.|\n)*fix: "):
        open_view(tmp_path)


def test_samples_of_another_writing_are_found(tmp_path: Path) -> None:
    make_view(tmp_path / "one")
    make_view(tmp_path / "other", channels=1)
    (tmp_path / "one" / SAMPLES_FILE).write_bytes((tmp_path / "other" / SAMPLES_FILE).read_bytes())
    with pytest.raises(DataError, match=VIEW_FILE):
        open_view(tmp_path / "one")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda pictures: pictures[:-1], id="one too few"),
        pytest.param(lambda pictures: [*pictures, pictures[0]], id="one too many"),
        pytest.param(lambda pictures: [noise(3, 3, 3, seed=0), *pictures[1:]], id="another size"),
        pytest.param(lambda pictures: [pictures[0][:, ::-1].transpose(1, 0, 2), *pictures[1:]], id="turned"),
        pytest.param(lambda pictures: [pictures[0].astype(np.float32), *pictures[1:]], id="not uint8"),
    ],
)
def test_pictures_must_be_those_of_the_plan(tmp_path: Path, wrong: object) -> None:
    pictures = make_view(tmp_path)
    opened = open_view(tmp_path)
    plan = make_plan(opened.samples)
    assert plan.num_bytes == opened.view.num_bytes
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"expected|zip"):
        write_view(tmp_path, plan, wrong(pictures))


def test_a_plan_with_a_gap_between_pictures_is_refused(tmp_path: Path) -> None:
    pictures = make_view(tmp_path)
    opened = open_view(tmp_path)
    moved = msgspec.structs.replace(opened.samples[1], offset=opened.samples[1].offset + 1)
    plan = make_plan([opened.samples[0], moved])
    with pytest.raises(ValueError, match="expected"):
        write_view(tmp_path, plan, pictures[:2])


def test_a_detection_view_comes_back_with_its_boxes(tmp_path: Path) -> None:
    pictures = make_detect_view(tmp_path, copies=1)
    opened = open_detect_view(tmp_path)
    assert (opened.view.task, opened.view.label_attribute) == ("detect", "kind")
    assert len(opened.samples) == len(pictures) == 24 + 12
    originals = [position for position, sample in enumerate(opened.samples) if sample.copy == 0]
    for number, position in enumerate(originals):
        picture, boxes, class_index = draw_scene(number, side_px=64)
        sample = opened.samples[position]
        assert (picture_at(opened, position) == picture).all()
        assert (sample.boxes, sample.class_index) == (boxes, class_index)


def test_a_view_of_another_task_is_refused(tmp_path: Path) -> None:
    make_view(tmp_path / "classify")
    make_detect_view(tmp_path / "detect")
    with pytest.raises(DataError, match=r"is a view of task detect, not classify\n.*cnnpipe augment"):
        open_view(tmp_path / "detect")
    with pytest.raises(DataError, match="is a view of task classify, not detect"):
        open_detect_view(tmp_path / "classify")
