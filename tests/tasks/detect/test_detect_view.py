import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from split_projects import HEIGHT, WIDTH, Drawn, digests, pixels_of, write_project

from cnnpipe import files
from cnnpipe.annotations import Split
from cnnpipe.augmentation.boxes import build_box_crop_flip
from cnnpipe.datasets import split_pictures
from cnnpipe.datasets.detection import boxes_of
from cnnpipe.datasets.packs import OpenView, open_detect_view, picture_at
from cnnpipe.datasets.records import PIXELS_FILE, DetectSample
from cnnpipe.errors import DataError, StorageError
from cnnpipe.formats.pictures import read_picture
from cnnpipe.geometry.boxes import Box
from cnnpipe.params.augment import DetectViewParams
from cnnpipe.seeding import seed_of
from cnnpipe.stages.augment import augment
from cnnpipe.tasks.detect.view_report import DetectViewReport

SPLITS: tuple[Split, ...] = ("train", "train", "val", "test")
PARAMS = {
    "max_side_px": 64,
    "min_box_side_px": 2.0,
    "min_visible_fraction": 0.3,
    "channels": 3,
    "seed": 1,
    "copies": 0,
    "copy_transform": {"crop_scale": 0.5, "flip_horizontal": 0.5, "flip_vertical": 0.0},
}
NARROW = {"crop_scale": 0.1, "flip_horizontal": 0.5, "flip_vertical": 0.0}
SOME = NARROW | {"crop_scale": 0.5}
OBJECTS = [("bee", (4.0, 4.0, 24.0, 20.0)), ("ant", (30.0, 10.0, 50.0, 26.0))]
PROJECT = [Drawn(split, OBJECTS) for split in SPLITS * 2]


def params(**changes: Any) -> DetectViewParams:
    return DetectViewParams.model_validate(PARAMS | changes)


def made(folder: Path, pictures: Sequence[Drawn] = PROJECT, **changes: Any) -> OpenView[DetectSample]:
    augment(write_project(folder, pictures), folder / "view", params(**changes))
    return open_detect_view(folder / "view")


def report_of(folder: Path) -> DetectViewReport:
    return files.read_json(folder / "view" / "report.json", DetectViewReport)


def test_every_picture_is_packed_whole_with_its_boxes(tmp_path: Path) -> None:
    opened = made(tmp_path)
    assert opened.view.classes == ["ant", "bee"]
    assert (opened.view.task, opened.view.source, opened.view.label_attribute) == (
        "detect",
        "objects",
        "kind",
    )
    assert len(opened.samples) == 8
    for number, sample in enumerate(opened.samples):
        assert sample.sample_id == sample.image_id == f"photos/{number}.png"
        assert (sample.split, sample.group) == (PROJECT[number].split, f"group {number}")
        assert (sample.original_width, sample.original_height) == (sample.width, sample.height) == (60, 40)
        assert sample.boxes == [Box(4.0, 4.0, 24.0, 20.0), Box(30.0, 10.0, 50.0, 26.0)]
        assert (sample.class_index, sample.region) == ([1, 0], [0, 1])
        assert (picture_at(opened, number) == pixels_of(number)).all()


def test_a_large_picture_is_shrunk_and_its_boxes_with_it(tmp_path: Path) -> None:
    opened = made(tmp_path, max_side_px=32)
    sample = opened.samples[0]
    assert (sample.width, sample.height) == (32, 21)
    assert (sample.original_width, sample.original_height) == (60, 40)
    expected = np.array([box for _, box in OBJECTS]) * [32 / 60, 21 / 40, 32 / 60, 21 / 40]
    np.testing.assert_allclose(boxes_of(sample), expected)
    report = report_of(tmp_path)
    assert (
        report.shrunk == report.kept == {label: {"train": 4, "val": 2, "test": 2} for label in ("ant", "bee")}
    )
    assert report.pictures.shrunk == report.pictures.kept == {"train": 4, "val": 2, "test": 2}


def test_a_small_picture_is_never_enlarged(tmp_path: Path) -> None:
    opened = made(tmp_path, max_side_px=4096)
    assert {(sample.width, sample.height) for sample in opened.samples} == {(60, 40)}
    assert report_of(tmp_path).pictures.shrunk == {}


def test_the_stage_returns_what_became_of_pictures_and_objects(tmp_path: Path) -> None:
    pictures = [
        *PROJECT,
        Drawn(None, [("ant", (0, 0, 20, 20))]),
        Drawn("train", []),
        Drawn("test", [("bee", (0, 0, 5, 1.5)), ("wasp", (0, 0, 9, 9))]),
    ]
    counts = augment(
        write_project(tmp_path, pictures), tmp_path / "view", params(copies=2, copy_transform=NARROW)
    )
    assert counts == {
        "train": 5,
        "val": 2,
        "test": 3,
        "objects": 16,
        "copies": 10,
        "pictures left out (in no split)": 1,
        "lost (picture in no split)": 1,
        "lost (too small)": 1,
        "lost (class not in train)": 1,
        "lost (cut off in a copy)": counts["lost (cut off in a copy)"],
    }
    report = report_of(tmp_path)
    assert report.kept == {label: {"train": 4, "val": 2, "test": 2} for label in ("ant", "bee")}
    in_copies = sum(table["train"] for table in report.copies.values())
    assert 0 < in_copies < 2 * 8
    assert in_copies + counts["lost (cut off in a copy)"] == 2 * 8
    assert report.lost["too small"] == {"bee": {"test": 1}}
    assert report.lost["class not in train"] == {"wasp": {"test": 1}}
    assert report.lost["picture in no split"] == {"ant": {"none": 1}}
    assert report.pictures.kept == {"train": 5, "val": 2, "test": 3}
    assert report.pictures.without_objects == {"train": 1, "test": 1}
    assert report.pictures.copies == {"train": 10}
    assert report.pictures.lost == {"in no split": {"none": 1}}


def test_picture_whose_regions_were_refused_is_no_background(tmp_path: Path) -> None:
    pictures = [*PROJECT, Drawn("train", [], has_refused=True)]
    view = made(tmp_path, pictures)
    assert len(view.samples) == len(PROJECT)
    assert report_of(tmp_path).pictures.lost == {"no region passed the gate": {"train": 1}}


def test_pictures_without_objects_are_kept_unless_they_are_yet_to_be_annotated(tmp_path: Path) -> None:
    pictures = [*PROJECT, Drawn("train", []), Drawn("val", [("ant", (0, 0, 1, 1))])]
    kept = made(tmp_path / "keep", pictures)
    assert [sample.boxes for sample in kept.samples[8:]] == [[], []]
    left = made(tmp_path / "leave", [*pictures, Drawn("train", [], is_pending=True)])
    assert [sample.boxes for sample in left.samples[8:]] == [[], []]
    report = report_of(tmp_path / "leave")
    assert report.pictures.lost == {"not yet annotated": {"train": 1}}
    assert report.pictures.without_objects == {"train": 1, "val": 1}


def test_a_box_of_just_the_smallest_side_in_the_pack_is_kept(tmp_path: Path) -> None:
    pictures = [*PROJECT, Drawn("train", [("ant", (0, 0, 4, 30)), ("ant", (0, 0, 3.9, 30))], width=64)]
    opened = made(tmp_path, pictures, min_box_side_px=2.0, max_side_px=32)
    assert opened.samples[8].region == [0]  # a side of 4 px is packed with 2
    assert made(tmp_path, pictures, min_box_side_px=2.0).samples[8].region == [0, 1]


def test_copies_are_of_train_only_with_the_boxes_that_the_crop_leaves(tmp_path: Path) -> None:
    opened = made(tmp_path, copies=6, min_box_side_px=15.0, copy_transform=SOME, min_visible_fraction=0.1)
    crop_flip = build_box_crop_flip(params(copy_transform=SOME).copy_transform, min_visible_fraction=0.1)
    assert len(opened.samples) == 8 + 6 * 4
    num_small = 0
    for position, sample in enumerate(opened.samples):
        original = opened.samples[position - sample.copy]
        assert original.copy == 0
        if not sample.copy:
            continue
        assert (sample.split, sample.group) == ("train", original.group)
        assert sample.sample_id == f"{original.sample_id}~{sample.copy}"
        changed, boxes_M4, kept_M = crop_flip(
            picture_at(opened, position - sample.copy),
            boxes_of(original),
            seed_of(1, "copy", sample.sample_id),
        )
        assert (picture_at(opened, position) == changed).all()
        large = (boxes_M4[:, 2:] - boxes_M4[:, :2] >= 15.0).all(axis=1)
        num_small += int((~large).sum())
        assert (boxes_of(sample) == boxes_M4[large]).all()
        assert sample.region == [original.region[index] for index in kept_M[large]]
        assert sample.class_index == [original.class_index[index] for index in kept_M[large]]
    assert num_small > 0


def test_same_inputs_same_bytes_and_the_seed_changes_copies_only(tmp_path: Path) -> None:
    inputs = write_project(tmp_path, PROJECT)
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        augment(inputs, tmp_path / name, params(copies=2, seed=seed))
    assert digests(tmp_path / "one") == digests(tmp_path / "again")
    one, other = open_detect_view(tmp_path / "one"), open_detect_view(tmp_path / "other")
    for position, sample in enumerate(one.samples):
        if sample.copy == 0:
            assert sample == other.samples[position]
            assert (picture_at(one, position) == picture_at(other, position)).all()
    assert one.view.samples_sha256 != other.view.samples_sha256
    assert one.view.pixels_sha256 != other.view.pixels_sha256


def test_one_class_is_enough(tmp_path: Path) -> None:
    opened = made(tmp_path, [Drawn(split, OBJECTS[:1]) for split in SPLITS])
    assert opened.view.classes == ["bee"]
    assert (tmp_path / "view" / "preview.jpg").stat().st_size > 0


def test_a_class_without_an_object_to_judge_by_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [*PROJECT, Drawn("train", [("wasp", (0, 0, 20, 20))])]
    assert made(tmp_path, pictures).view.classes == ["ant", "bee", "wasp"]
    assert "no object in val to judge by: wasp" in caplog.text
    assert "no object in test to judge by: wasp" in caplog.text


@pytest.mark.parametrize(
    ("pictures", "changes", "message"),
    [
        pytest.param(
            [Drawn(s, []) for s in SPLITS], {}, r"nothing to detect\n.*label_attribute", id="no object"
        ),
        pytest.param(
            PROJECT,
            {"min_box_side_px": 30.0},
            r"nothing to detect; 16 left out: too small\n.*min_box_side_px",
            id="all too small",
        ),
        pytest.param(
            [Drawn("train", []), *PROJECT[2:4]],
            {},
            r"nothing to detect; 4 left out: class not in train\n.*pin pictures to train",
            id="no object in train",
        ),
        pytest.param(
            [PROJECT[0], PROJECT[3]], {}, r"no object is in val\n.*split\.val_fraction", id="no val"
        ),
        pytest.param(
            [PROJECT[0], Drawn("val", []), PROJECT[3]], {}, r"no object is in val\n", id="empty val"
        ),
        pytest.param(PROJECT[:3], {}, r"no sample is in test\n.*split\.test_fraction", id="no test picture"),
        pytest.param(
            [*PROJECT[:3], Drawn("test", [], is_pending=True)],
            {},
            r"no sample is in test; 1 left out: not yet annotated\n",
            id="test pictures left out",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_anything_is_written(
    tmp_path: Path, pictures: list[Drawn], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        made(tmp_path, pictures, **changes)
    assert not (tmp_path / "view").exists()


def test_pictures_of_one_pixel_and_of_many_with_500_objects(tmp_path: Path) -> None:
    crowd = [
        ("ant", (float(x), float(y), x + 40.0, y + 30.0))
        for x in range(0, 1250, 50)
        for y in range(0, 800, 40)
    ]
    pictures = [
        *PROJECT,
        Drawn("train", [], width=1, height=1),
        Drawn("train", [("bee", (0.0, 0.0, 1.0, 300.0))], width=1, height=300),
        Drawn("train", crowd, width=1300, height=800),
    ]
    opened = made(tmp_path, pictures, copies=1, min_box_side_px=0.1)
    one, thin, large = (opened.samples[position] for position in (-6, -4, -2))
    assert (one.width, one.height, one.boxes) == (1, 1, [])
    assert (thin.width, thin.height, len(thin.boxes)) == (1, 64, 1)
    assert (large.width, large.height, len(large.boxes)) == (64, 39, 500)
    assert all(box.x_max <= 64 and box.y_max <= 39 for sample in (large,) for box in sample.boxes)


def test_grey_views_have_one_channel(tmp_path: Path) -> None:
    opened = made(tmp_path, channels=1, copies=1)
    expected = np.asarray(Image.fromarray(pixels_of(0)).convert("L"))[:, :, None]
    assert (picture_at(opened, 0) == expected).all()
    assert (tmp_path / "view" / "preview.jpg").stat().st_size > 0


def test_every_picture_is_decoded_once_and_packed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path, **options: Any) -> NDArray[np.uint8]:
        read.append(path.name)
        return read_picture(path, **options)

    monkeypatch.setattr(split_pictures, "read_picture", counted)
    made(tmp_path, copies=2)
    assert sorted(read) == [f"{number}.png" for number in range(8)]
    in_view = sum(path.stat().st_size for path in (tmp_path / "view").iterdir())
    pixels = (tmp_path / "view" / PIXELS_FILE).stat().st_size
    assert pixels == 3 * WIDTH * HEIGHT * (8 + 2 * 4)
    assert not any(path.is_dir() for path in (tmp_path / "view").iterdir())
    assert in_view < pixels + 1_000_000


def test_a_full_disk_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = write_project(tmp_path, PROJECT)
    free = shutil.disk_usage(tmp_path)._replace(free=3 * WIDTH * HEIGHT * 8 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(StorageError, match=r"augment\.detect\.max_side_px"):
        augment(inputs, tmp_path / "view", params())
    assert not (tmp_path / "view").exists()


def test_the_preview_shows_every_class_and_a_picture_without_objects(tmp_path: Path) -> None:
    def sheet_height(name: str, pictures: list[Drawn]) -> int:
        made(tmp_path / name, pictures)
        with Image.open(tmp_path / name / "view" / "preview.jpg") as sheet:
            assert sheet.width > 3 * 480
            return sheet.height

    few = [Drawn(split, OBJECTS) for split in SPLITS]
    assert sheet_height("two of train", few) // 480 == 2
    assert sheet_height("and one without", [*few, Drawn("train", [])]) // 480 == 3
    of_own_class = [Drawn("train", [(f"class {n:02}", (0, 0, 20, 20))]) for n in range(20)]
    assert sheet_height("many classes", [*few, *of_own_class, Drawn("train", [])]) // 480 == 12
