"""View `regress`: which number each crop has, what is left out and why, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from split_projects import HEIGHT, WIDTH, Drawn, digests, pixels_of, write_project

from cnnpipe import files
from cnnpipe.annotations import LabelledObject, LabelledPicture, Split
from cnnpipe.datasets.packs import OpenView, open_regress_view, open_view, picture_at
from cnnpipe.datasets.records import RegressSample
from cnnpipe.errors import DataError
from cnnpipe.params.augment import RegressViewParams
from cnnpipe.stages.augment import AugmentInputs, augment
from cnnpipe.tasks.regress.view import RegressViewReport

SPLITS: tuple[Split, ...] = ("train", "train", "val", "test")
PARAMS = {
    "source": "objects",
    "attribute": "weight_g",
    "margin_fraction": 0.0,
    "square": False,
    "max_side_px": 32,
    "min_side_px": 8,
    "channels": 3,
    "seed": 1,
    "copies": 0,
    "copy_transform": {"crop_scale": 0.7, "flip_horizontal": 0.5, "flip_vertical": 0.0},
}
BOXES = ((4, 4, 24, 20), (30, 10, 50, 26))


def with_values(
    folder: Path, values: Sequence[Any], *, splits: Sequence[Split | None] = SPLITS
) -> AugmentInputs:
    """Write pictures with two objects each, whose weights are `values` in turn; of the pictures, too."""
    num_pictures = -(-len(values) // 2)
    objects = [("object", box) for box in BOXES]
    drawn = [Drawn(splits[number % len(splits)], objects) for number in range(num_pictures)]
    inputs = write_project(folder, drawn)
    records = files.read_jsonl(inputs.validated / "objects.jsonl", LabelledObject)
    held = [{"weight_g": value} if value is not ... else {} for value in values]
    files.write_jsonl(
        inputs.validated / "objects.jsonl",
        [msgspec.structs.replace(*pair[:1], attributes=pair[1]) for pair in zip(records, held, strict=True)],
    )
    pictures = files.read_jsonl(inputs.validated / "images.jsonl", LabelledPicture)
    files.write_jsonl(
        inputs.validated / "images.jsonl",
        [
            msgspec.structs.replace(one, file_attributes={"total": str(number)})
            for number, one in enumerate(pictures)
        ],
    )
    return inputs


def made(folder: Path, inputs: AugmentInputs, **changes: Any) -> OpenView[RegressSample]:
    augment(inputs, folder / "view", RegressViewParams.model_validate(PARAMS | changes))
    return open_regress_view(folder / "view")


def test_every_object_becomes_its_crop_with_its_number(tmp_path: Path) -> None:
    values = ["1", "2.5", " 3 ", "4e0", "5", "6", "7", "8"]
    opened = made(tmp_path, with_values(tmp_path, values))
    assert [sample.value for sample in opened.samples] == [1, 2.5, 3, 4, 5, 6, 7, 8]
    assert (opened.view.task, opened.view.label_attribute, opened.view.classes) == ("regress", "weight_g", [])
    for position, sample in enumerate(opened.samples):
        number, region = position // 2, position % 2
        assert sample.sample_id == f"photos/{number}.png#{region}"
        assert sample.split == SPLITS[number]
        x_min, y_min, x_max, y_max = BOXES[region]
        assert (picture_at(opened, position) == pixels_of(number)[y_min:y_max, x_min:x_max]).all()


def test_whole_pictures_have_the_number_of_their_file_attribute(tmp_path: Path) -> None:
    opened = made(tmp_path, with_values(tmp_path, ["x"] * 8), source="pictures", attribute="total")
    assert [(sample.image_id, sample.region, sample.value) for sample in opened.samples] == [
        (f"photos/{number}.png", None, number) for number in range(4)
    ]


def test_a_window_of_one_size_keeps_the_scale(tmp_path: Path) -> None:
    opened = made(tmp_path, with_values(tmp_path, range(1, 9)), window_px=24)
    assert {(sample.width, sample.height) for sample in opened.samples} == {(24, 24)}
    # the middle of the first box is at 14, 12, of the second at 40, 18
    assert (picture_at(opened, 0) == pixels_of(0)[0:24, 2:26]).all()
    assert (picture_at(opened, 1) == pixels_of(0)[6:30, 28:52]).all()


def test_a_window_is_moved_into_the_picture_or_clipped_by_a_small_one(tmp_path: Path) -> None:
    opened = made(tmp_path, with_values(tmp_path, range(1, 9)), window_px=36, max_side_px=64)
    assert (picture_at(opened, 1) == pixels_of(0)[0:36, 22:58]).all()  # 24 further down it would begin at 0
    larger = made(
        tmp_path / "larger", with_values(tmp_path / "larger", range(1, 9)), window_px=50, max_side_px=64
    )
    assert {(sample.width, sample.height) for sample in larger.samples} == {(50, HEIGHT)}
    assert WIDTH > 50
    report = files.read_json(tmp_path / "larger/view/report.json", RegressViewReport)
    assert report.clipped == {"train": 4, "val": 2, "test": 2}


def test_what_is_no_number_is_left_out_counted_and_shown(tmp_path: Path) -> None:
    values = ["1", "2", "12,5", "", "nan", ..., "30 g", "4", "5", "6", "7", "8"]
    inputs = with_values(tmp_path, values, splits=("train", "train", "train", "train", "val", "test"))
    opened = made(tmp_path, inputs, copies=1)
    assert [sample.value for sample in opened.samples if sample.copy == 0] == [1, 2, 4, 5, 6, 7, 8]
    assert [s.value for s in opened.samples if s.copy == 1] == [1, 2, 4]
    report = files.read_json(tmp_path / "view" / "report.json", RegressViewReport)
    assert report.lost == {"no number": {"train": 2}, "no value": {"train": 2}, "not finite": {"train": 1}}
    assert [(one.image_id, one.region, one.value) for one in report.seen["no number"]] == [
        ("photos/1.png", 0, '"12,5"'),
        ("photos/3.png", 0, '"30 g"'),
    ]
    assert report.kept == {"train": 3, "val": 2, "test": 2}
    assert report.copies == 3
    assert report.values["train"].mean == pytest.approx(7 / 3)


REFUSED = [
    pytest.param(
        ["12,5", "30 g"] * 4,
        {},
        "no region has a number as 'weight_g'; 8 left out: no number; seen: \"12,5\" on photos/0.png region",
        "decimal point",
        id="no-number",
    ),
    pytest.param(
        [...] * 8,
        {},
        "no region has a number as 'weight_g'; 8 left out: no value",
        "augment.regress.attribute",
        id="other-attribute",
    ),
    pytest.param(
        ["1"] * 8,
        {"source": "pictures"},
        "no picture has a number as 'weight_g'",
        "source to objects",
        id="of-regions",
    ),
    pytest.param(
        ["3", "3", "3", "3", "4", "5", "6", "7"],
        {},
        "'weight_g' is 3 on every region of train",
        "other numbers",
        id="one-number",
    ),
    pytest.param(
        ["1", "2", "3", "4", "5", "6", "inf", "1e999"],
        {},
        'no sample is in test; 2 left out: not finite; seen: "inf" on photos/3.png region 0',
        "test_fraction",
        id="no-test",
    ),
    pytest.param(list("12345678"), {"min_side_px": 30}, "8 left out: too small", "min_side_px", id="small"),
]


@pytest.mark.parametrize(("values", "changes", "what", "fix"), REFUSED)
def test_what_nothing_can_be_learnt_from_is_refused(
    tmp_path: Path, values: list[Any], changes: dict[str, Any], what: str, fix: str
) -> None:
    inputs = with_values(tmp_path, values)
    with pytest.raises(DataError) as caught:
        made(tmp_path, inputs, **changes)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert not (tmp_path / "view").exists()


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    inputs = with_values(tmp_path, range(1, 9))
    for name in ("one", "other"):
        made(tmp_path / name, inputs, copies=2)
    assert digests(tmp_path / "one/view") == digests(tmp_path / "other/view")
    assert (tmp_path / "one/view/preview.jpg").stat().st_size > 1000


def test_a_view_of_another_task_is_refused(tmp_path: Path) -> None:
    made(tmp_path, with_values(tmp_path, range(1, 9)))
    with pytest.raises(DataError, match="is a view of task regress, not classify"):
        open_view(tmp_path / "view")
