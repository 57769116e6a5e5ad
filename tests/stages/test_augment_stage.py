import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from split_projects import HEIGHT, WIDTH, Drawn, digests, pixels_of, write_project
from toy_views import noise

from cnnpipe import files
from cnnpipe.annotations import LabelledPicture, Split, SplitRow
from cnnpipe.datasets import split_pictures
from cnnpipe.datasets.packs import OpenView, open_view, picture_at
from cnnpipe.datasets.records import PIXELS_FILE, Sample
from cnnpipe.errors import DataError, StorageError
from cnnpipe.formats.pictures import read_picture
from cnnpipe.params.augment import ClassifyViewParams
from cnnpipe.stages.augment import augment
from cnnpipe.tasks.classify.view import ViewReport

SPLITS: tuple[Split, ...] = ("train", "train", "val", "test")
PARAMS = {
    "source": "objects",
    "margin_fraction": 0.0,
    "square": False,
    "max_side_px": 32,
    "min_side_px": 8,
    "channels": 3,
    "seed": 1,
    "copies": 0,
    "copy_transform": {"crop_scale": 0.7, "flip_horizontal": 0.5, "flip_vertical": 0.0},
}


PROJECT = [
    Drawn(split, [("bee", (4, 4, 24, 20)), ("ant", (30, 10, 50, 26))], label=("day", "night")[n // 4])
    for n, split in enumerate(SPLITS * 2)
]


def params(**changes: Any) -> ClassifyViewParams:
    return ClassifyViewParams.model_validate(PARAMS | changes)


def made(folder: Path, pictures: Sequence[Drawn] = PROJECT, **changes: Any) -> OpenView[Sample]:
    augment(write_project(folder, pictures), folder / "view", params(**changes))
    return open_view(folder / "view")


def report_of(folder: Path) -> ViewReport:
    return files.read_json(folder / "view" / "report.json", ViewReport)


def test_every_object_becomes_the_crop_of_its_box(tmp_path: Path) -> None:
    opened = made(tmp_path)
    assert len(opened.samples) == 16
    assert opened.view.classes == ["ant", "bee"]
    assert (opened.view.task, opened.view.source, opened.view.label_attribute) == (
        "classify",
        "objects",
        "kind",
    )
    for position, sample in enumerate(opened.samples):
        number, region = position // 2, position % 2
        assert sample.sample_id == f"photos/{number}.png#{region}"
        assert (sample.label, sample.class_index) == (("bee", 1), ("ant", 0))[region]
        assert (sample.split, sample.group) == (PROJECT[number].split, f"group {number}")
        x_min, y_min, x_max, y_max = (int(side) for side in PROJECT[number].objects[region][1])
        assert (picture_at(opened, position) == pixels_of(number)[y_min:y_max, x_min:x_max]).all()


def test_the_stage_returns_what_became_of_the_objects(tmp_path: Path) -> None:
    pictures = [*PROJECT, Drawn(None, [("ant", (0, 0, 20, 20))]), Drawn("train", [("bee", (0, 0, 5, 20))])]
    counts = augment(write_project(tmp_path, pictures), tmp_path / "view", params(copies=2))
    assert counts == {
        "train": 8,
        "val": 4,
        "test": 4,
        "copies": 16,
        "lost (picture in no split)": 1,
        "lost (too small)": 1,
    }
    report = report_of(tmp_path)
    assert report.kept == {label: {"train": 4, "val": 2, "test": 2} for label in ("ant", "bee")}
    assert report.copies == {"ant": {"train": 8}, "bee": {"train": 8}}
    assert report.lost == {"picture in no split": {"ant": {"none": 1}}, "too small": {"bee": {"train": 1}}}


def test_a_region_that_is_several_objects_is_in_no_class(tmp_path: Path) -> None:
    inputs = write_project(tmp_path, PROJECT)
    [path] = tmp_path.rglob("objects.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    again = lines[0].replace('"bee"', '"ant"')
    path.write_text("\n".join([lines[0], again, *lines[1:]]) + "\n", encoding="utf-8")
    counts = augment(inputs, tmp_path / "view", params())
    assert counts["lost (of several classes)"] == 2
    ids = [sample.sample_id for sample in open_view(tmp_path / "view").samples]
    assert len(ids) == len(set(ids)) == 15


def test_whole_pictures_are_labelled_by_their_attribute(tmp_path: Path) -> None:
    pictures = [*PROJECT, Drawn("train", [], label=None)]
    opened = made(tmp_path, pictures, source="pictures", max_side_px=100)
    assert opened.view.classes == ["day", "night"]
    assert (opened.view.source, opened.view.label_attribute) == ("pictures", "time")
    assert [sample.sample_id for sample in opened.samples] == [f"photos/{n}.png" for n in range(8)]
    assert all((picture_at(opened, n) == pixels_of(n)).all() for n in range(8))
    assert report_of(tmp_path).lost == {"no label": {"": {"train": 1}}}


def test_clipped_and_shrunk_crops_are_counted(tmp_path: Path) -> None:
    large = Drawn("train", [("ant", (0, 0, 50, 40)), ("bee", (10, 5, 30, 25))])
    opened = made(tmp_path, [*PROJECT, large], square=True)
    report = report_of(tmp_path)
    assert report.clipped == {"ant": {"train": 1}}
    assert report.shrunk == {"ant": {"train": 1}}
    sample = opened.samples[-2]
    assert (sample.width, sample.height) == (32, round(40 * 32 / 50))
    assert max(max(sample.width, sample.height) for sample in opened.samples) == 32


def test_grey_views_have_one_channel(tmp_path: Path) -> None:
    opened = made(tmp_path, channels=1)
    expected = np.asarray(Image.fromarray(pixels_of(0)).convert("L"))[4:20, 4:24, None]
    assert (picture_at(opened, 0) == expected).all()
    assert (tmp_path / "view" / "preview.jpg").stat().st_size > 0


def test_copies_are_of_train_only_and_beside_their_original(tmp_path: Path) -> None:
    opened = made(tmp_path, copies=3)
    assert len(opened.samples) == 16 + 3 * 8
    for position, sample in enumerate(opened.samples):
        original = opened.samples[position - sample.copy]
        assert original.copy == 0
        if sample.copy:
            assert sample.split == "train"
            assert sample.sample_id == f"{original.sample_id}~{sample.copy}"
            assert (sample.label, sample.group) == (original.label, original.group)
            copied, source = picture_at(opened, position), picture_at(opened, position - sample.copy)
            assert copied.shape == source.shape
    pictures = {picture_at(opened, position).tobytes() for position in range(len(opened.samples))}
    assert len(pictures) >= 36  # of 40: a small picture's crop may be the whole of it


def test_same_inputs_same_bytes_and_the_seed_changes_copies_only(tmp_path: Path) -> None:
    inputs = write_project(tmp_path, PROJECT)
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        augment(inputs, tmp_path / name, params(copies=2, seed=seed))
    assert digests(tmp_path / "one") == digests(tmp_path / "again")
    one, other = open_view(tmp_path / "one"), open_view(tmp_path / "other")
    assert one.samples == other.samples
    changed = {
        (picture_at(one, position) != picture_at(other, position)).any()
        for position, sample in enumerate(one.samples)
        if sample.copy == 0
    }
    assert changed == {False}
    assert one.view.pixels_sha256 != other.view.pixels_sha256


def test_more_pictures_do_not_change_the_copies_of_others(tmp_path: Path) -> None:
    fewer_objects = [PROJECT[0]._replace(objects=PROJECT[0].objects[:1]), *PROJECT[1:]]
    many, few = made(tmp_path / "many", copies=1), made(tmp_path / "few", fewer_objects, copies=1)
    position = {sample.sample_id: number for number, sample in enumerate(many.samples)}
    assert len(few.samples) == len(many.samples) - 2
    for number, sample in enumerate(few.samples):
        assert (picture_at(few, number) == picture_at(many, position[sample.sample_id])).all()


def test_a_class_without_train_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures = [*PROJECT, Drawn("test", [("wasp", (0, 0, 20, 20))]), Drawn("val", [("wasp", (0, 0, 9, 9))])]
    opened = made(tmp_path, pictures)
    assert opened.view.classes == ["ant", "bee"]
    assert len(opened.samples) == 16
    assert report_of(tmp_path).lost == {"class not in train": {"wasp": {"test": 1, "val": 1}}}
    assert "wasp" in caplog.text


def test_a_crop_of_just_the_smallest_side_is_kept(tmp_path: Path) -> None:
    pictures = [*PROJECT, Drawn("train", [("ant", (0, 0, 8, 30)), ("ant", (0, 0, 7, 30))])]
    assert [sample.sample_id for sample in made(tmp_path, pictures).samples][16:] == ["photos/8.png#0"]


def test_a_class_whose_train_samples_are_too_small_is_left_out(tmp_path: Path) -> None:
    pictures = [
        *PROJECT,
        Drawn("train", [("wasp", (0, 0, 3, 3))]),
        Drawn("test", [("wasp", (0, 0, 20, 20))]),
    ]
    opened = made(tmp_path, pictures)
    assert opened.view.classes == ["ant", "bee"]


@pytest.mark.parametrize(
    ("pictures", "changes", "message"),
    [
        pytest.param(
            [Drawn(s, []) for s in SPLITS], {}, r"nothing to classify(.|\n)*label_attribute", id="no object"
        ),
        pytest.param(
            [Drawn(s, [("ant", (0, 0, 20, 20))]) for s in SPLITS],
            {},
            r"only class is 'ant'(.|\n)*second class",
            id="one class",
        ),
        pytest.param(
            [Drawn(s, PROJECT[0].objects) for s in ("train", "test")],
            {},
            r"no sample is in val(.|\n)*split\.val_fraction",
            id="no val",
        ),
        pytest.param(
            PROJECT, {"min_side_px": 50}, r"nothing to classify; 16 left out: too small", id="all too small"
        ),
        pytest.param(
            [Drawn(s, PROJECT[0].objects) for s in SPLITS],
            {"source": "pictures"},
            r"4 left out: no label(.|\n)*image_label_attribute",
            id="no picture has a label",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_anything_is_written(
    tmp_path: Path, pictures: list[Drawn], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        made(tmp_path, pictures, **changes)
    assert not (tmp_path / "view").exists()


def test_a_picture_without_a_split_is_an_error(tmp_path: Path) -> None:
    inputs = write_project(tmp_path, PROJECT)
    rows = files.read_jsonl(inputs.splits, SplitRow)
    files.write_jsonl(inputs.splits, rows[:-1])
    with pytest.raises(DataError, match=r"photos/7\.png(.|\n)*cnnpipe split"):
        augment(inputs, tmp_path / "view", params())


def test_an_object_without_a_picture_is_an_error(tmp_path: Path) -> None:
    inputs = write_project(tmp_path, PROJECT)
    images = files.read_jsonl(inputs.validated / "images.jsonl", LabelledPicture)
    files.write_jsonl(inputs.validated / "images.jsonl", images[1:])
    with pytest.raises(DataError, match=r"photos/0\.png(.|\n)*cnnpipe validate"):
        augment(inputs, tmp_path / "view", params())


@pytest.mark.parametrize("change", ["size", "gone"])
def test_a_picture_changed_since_leaves_the_old_view(tmp_path: Path, change: str) -> None:
    inputs = write_project(tmp_path, PROJECT)
    augment(inputs, tmp_path / "view", params())
    before = digests(tmp_path / "view")
    path = inputs.raw_dir / "photos" / "5.png"
    path.unlink()
    if change == "size":
        Image.fromarray(noise(HEIGHT, WIDTH + 1, 3, seed=0)).save(path)
    with pytest.raises(DataError, match=r"5\.png"):
        augment(inputs, tmp_path / "view", params(max_side_px=16))
    assert digests(tmp_path / "view") == before


def test_disk_use_is_told_and_checked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = write_project(tmp_path, PROJECT)
    with caplog.at_level(logging.INFO):
        augment(inputs, tmp_path / "view", params(copies=1))
    size = (tmp_path / "view" / PIXELS_FILE).stat().st_size
    assert f"24 samples, {size / 1e6:.1f} MB" in caplog.text
    free = shutil.disk_usage(tmp_path)._replace(free=size - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(StorageError, match="max_side_px"):
        augment(inputs, tmp_path / "other", params(copies=1))
    assert not (tmp_path / "other").exists()


def test_every_picture_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path, **options: Any) -> NDArray[np.uint8]:
        read.append(path.name)
        return read_picture(path, **options)

    monkeypatch.setattr(split_pictures, "read_picture", counted)
    made(tmp_path, copies=2)
    assert sorted(read) == [f"{number}.png" for number in range(8)]


def test_the_preview_has_a_row_per_class(tmp_path: Path) -> None:
    made(tmp_path)
    with Image.open(tmp_path / "view" / "preview.jpg") as sheet:
        assert sheet.height == pytest.approx(2 * 102 + 66, abs=10)
        assert sheet.width > 8 * 96
