"""Pictures to train, val and test: no group is cut, nothing pinned moves, every reason is told."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnpipe.annotations import SPLITS, LabelledObject, LabelledPicture, PinnedSplit, Split, SplitRow
from cnnpipe.errors import DataError
from cnnpipe.files import read_jsonl, write_jsonl
from cnnpipe.formats.perceptual_hash import NO_STRUCTURE
from cnnpipe.geometry.boxes import Box
from cnnpipe.geometry.shapes import Rect
from cnnpipe.params.split import SplitParams
from cnnpipe.seeding import seed_of
from cnnpipe.stages.split import pin, split


def params(**changes: Any) -> SplitParams:
    wanted: dict[str, Any] = {
        "seed": 1,
        "given": "none",
        "given_attribute": None,
        "group_by": "image",
        "near_duplicate_bits": 4,
        "val_fraction": 0.2,
        "test_fraction": 0.2,
    }
    return SplitParams(**(wanted | changes))


def picture(
    image_id: str, *, look: str | int | None = None, content: str | None = None, **attributes: Any
) -> LabelledPicture:
    """Return a picture; those of one `look` are near-duplicates, those of one `content` the same file."""
    return LabelledPicture(
        image_id=image_id,
        width=32,
        height=32,
        sha256=content or image_id,
        perceptual_hash=look if isinstance(look, str) else f"{seed_of(0, look or image_id):016x}",
        label=None,
        is_annotated=True,
        file_attributes=attributes,
    )


def write(folder: Path, pictures: Iterable[LabelledPicture], labels: Mapping[str, str] | None = None) -> Path:
    validated = folder / "validated"
    write_jsonl(validated / "images.jsonl", pictures)
    objects = [
        LabelledObject(
            image_id=image_id,
            region=0,
            label=label,
            box=Box(0, 0, 9, 9),
            shape=Rect(0, 0, 9, 9),
            attributes={},
        )
        for image_id, label in (labels or {}).items()
    ]
    write_jsonl(validated / "objects.jsonl", objects)
    return validated


def run(folder: Path, pictures: Iterable[LabelledPicture], **changes: Any) -> dict[str, SplitRow]:
    split(write(folder, pictures), folder / "pinned.jsonl", folder / "splits.jsonl", params(**changes))
    rows = read_jsonl(folder / "splits.jsonl", SplitRow)
    assert [row.image_id for row in rows] == sorted(row.image_id for row in rows)
    return {row.image_id: row for row in rows}


def put_pins(folder: Path, pins: Mapping[str, Split]) -> None:
    write_jsonl(folder / "pinned.jsonl", [PinnedSplit(image_id=name, split=to) for name, to in pins.items()])


def many(number: int, prefix: str = "") -> list[LabelledPicture]:
    return [picture(f"{prefix}{index:04d}.png") for index in range(number)]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("split")


def test_the_shares_are_those_of_params(tmp_path: Path) -> None:
    rows = run(tmp_path, many(2000), val_fraction=0.1, test_fraction=0.3)
    shares = {name: sum(row.split == name for row in rows.values()) / 2000 for name in SPLITS}
    assert shares == {
        "train": pytest.approx(0.6, abs=0.04),
        "val": pytest.approx(0.1, abs=0.03),
        "test": pytest.approx(0.3, abs=0.04),
    }
    assert {row.reason for row in rows.values()} == {"hash"}


def test_another_seed_deals_otherwise(tmp_path: Path) -> None:
    one, other = run(tmp_path, many(200)), run(tmp_path, many(200), seed=2)
    assert sum(one[name].split != other[name].split for name in one) > 40


def test_a_picture_alone_stays_when_others_come(tmp_path: Path) -> None:
    before, after = run(tmp_path, many(100)), run(tmp_path, many(100) + many(100, "a/"))
    assert {name: after[name] for name in before} == before


sets_of_pictures = st.lists(
    st.tuples(
        st.sampled_from(["", "a/", "b/", "train/", "val/x/", "test/"]), st.integers(0, 30), st.integers(0, 12)
    ),
    min_size=8,
    max_size=30,
    unique_by=lambda drawn: drawn[:2],
).map(lambda drawn: [picture(f"{folder}{name}.png", look=look + 1) for folder, name, look in drawn])
options = st.fixed_dictionaries(
    {
        "given": st.sampled_from(["none", "folder"]),
        "group_by": st.sampled_from(["image", "folder"]),
        "seed": st.integers(0, 99),
    }
)


@given(sets_of_pictures, sets_of_pictures, options)
@settings(max_examples=150)
def test_adding_pictures_moves_no_pinned_one_and_cuts_no_group(
    make: Callable[[], Path], some: list[LabelledPicture], more: list[LabelledPicture], chosen: dict[str, Any]
) -> None:
    folder = make()
    try:
        first = run(folder, some, **chosen)
    except DataError:  # too few groups
        return
    assert_no_group_is_cut(first.values(), some)
    pin(folder / "validated", folder / "splits.jsonl", folder / "pinned.jsonl")
    pins = {line.image_id: line.split for line in read_jsonl(folder / "pinned.jsonl", PinnedSplit)}
    assert pins.keys() == {name for name, row in first.items() if row.split is not None}
    together = {each.image_id: each for each in [*more, *some]}
    second = run(folder, together.values(), **chosen)
    assert {name: second[name].split for name in pins} == pins
    # new pictures never lie apart from what they resemble
    looks = {image_id: each.perceptual_hash for image_id, each in together.items()}
    for name, row in second.items():
        if row.split is not None and name not in pins:
            alike = {second[other].split for other in looks if looks[other] == looks[name]}
            assert alike <= {row.split, None}


def assert_no_group_is_cut(rows: Iterable[SplitRow], pictures: Iterable[LabelledPicture]) -> None:
    by_id = {each.image_id: each for each in pictures}
    splits: dict[str, set[Split]] = {}
    for row in rows:
        for key in (row.group, by_id[row.image_id].perceptual_hash, by_id[row.image_id].sha256):
            if row.split is not None:
                splits.setdefault(key, set()).add(row.split)
    assert all(len(each) == 1 for each in splits.values())


@given(sets_of_pictures, st.randoms(use_true_random=False), options)
def test_the_order_of_pictures_does_not_matter(
    make: Callable[[], Path], pictures: list[LabelledPicture], random: Any, chosen: dict[str, Any]
) -> None:
    folder, shuffled = make(), list(pictures)
    random.shuffle(shuffled)
    try:
        one = run(folder, pictures, **chosen)
        assert run(folder, shuffled, **chosen) == one
    except DataError:
        with pytest.raises(DataError):
            run(folder, shuffled, **chosen)


def test_what_makes_a_group(tmp_path: Path) -> None:
    pictures = [
        picture("near/a.png", look="00000000ffffffff"),
        picture("near/b.png", look="0000000fffffffff"),  # 4 bits away
        picture("near/c.png", look="000001ffffffffff"),  # 9 bits from a, 5 from b
        picture("same/a.png", content="same"),
        picture("same/b.png", content="same"),
        picture("blank/a.png", look=NO_STRUCTURE),
        picture("blank/b.png", look=NO_STRUCTURE),
        *many(20),
    ]
    rows = run(tmp_path, pictures)
    assert rows["near/a.png"].group == rows["near/b.png"].group != rows["near/c.png"].group
    assert rows["same/a.png"].group == rows["same/b.png"].group
    assert rows["blank/a.png"].group != rows["blank/b.png"].group
    rows = run(tmp_path, pictures, near_duplicate_bits=5)
    assert rows["near/a.png"].group == rows["near/b.png"].group == rows["near/c.png"].group
    rows = run(tmp_path, pictures, near_duplicate_bits=-1)
    assert rows["near/a.png"].group != rows["near/b.png"].group
    assert rows["same/a.png"].group == rows["same/b.png"].group


def test_folders_stay_whole_and_join_what_they_resemble(tmp_path: Path) -> None:
    pictures = [picture(f"{folder}/{number}.png") for folder in "abcdefgh" for number in range(4)]
    pictures += [picture("a/x.png", look=5), picture("b/x.png", look=5)]
    rows = run(tmp_path, pictures, group_by="folder")
    groups = {row.image_id[0]: row.group for row in rows.values()}
    assert groups["a"] == groups["b"]
    assert len(set(groups.values())) == 7
    assert all(rows[name].group == groups[name[0]] for name in rows)


def test_a_new_member_seldom_moves_its_group(tmp_path: Path) -> None:
    pairs = [picture(f"{name}{number}.png", look=number + 1) for number in range(300) for name in ("m", "n")]
    # whatever a picture is called: these come first by name
    thirds = [picture(f"0{number}.png", look=number + 1) for number in range(300)]
    before, after = run(tmp_path, pairs), run(tmp_path, pairs + thirds)
    moved = sum(before[f"m{number}.png"].group != after[f"m{number}.png"].group for number in range(300))
    assert moved / 300 == pytest.approx(1 / 3, abs=0.08)


@pytest.mark.parametrize(
    ("image_id", "given_split"),
    [
        pytest.param("train/a.png", "train", id="train"),
        pytest.param("Training/a.png", "train", id="training, capital"),
        pytest.param("x/VAL/y/a.png", "val", id="in the middle"),
        pytest.param("valid/a.png", "val", id="valid"),
        pytest.param("validation/a.png", "val", id="validation"),
        pytest.param("dev/a.png", "val", id="dev"),
        pytest.param("testing/a.png", "test", id="testing"),
        pytest.param("train/test/a.png", "test", id="the innermost counts"),
        pytest.param("trains/a.png", None, id="only whole names"),
        pytest.param("x/test.png", None, id="a file is no folder"),
    ],
)
def test_folders_that_name_a_split(tmp_path: Path, image_id: str, given_split: Split | None) -> None:
    others = [picture(f"{name}/{number}.png") for name in SPLITS for number in range(3)]
    row = run(tmp_path, [picture(image_id), *others], given="folder")[image_id]
    assert row.reason == ("given" if given_split else "hash")
    if given_split:
        assert row.split == given_split


def test_an_attribute_gives_the_split(tmp_path: Path) -> None:
    values = [" Train", "validation", "test", {"test": True}, "other", "", None]
    pictures = [picture(f"{number}.png", part=value) for number, value in enumerate(values)]
    rows = run(tmp_path, pictures, given="attribute", given_attribute="part")
    assert [rows[f"{number}.png"].split for number in range(4)] == ["train", "val", "test", "test"]
    assert [rows[f"{number}.png"].reason for number in range(7)] == ["given"] * 4 + ["hash"] * 3


@pytest.mark.parametrize(
    ("value", "attribute", "what"),
    [
        (
            "train",
            "prt",
            r"no picture has the file attribute 'prt'\n  fix: did you mean 'part'\?.*part \(9 values",
        ),
        ("red", "part", r"no value of 'part' names a split; there are: red"),
    ],
)
def test_an_attribute_that_gives_nothing_is_refused(
    tmp_path: Path, value: str, attribute: str, what: str
) -> None:
    pictures = [picture(f"{number}.png", part=value) for number in range(9)]
    with pytest.raises(DataError, match=what):
        run(tmp_path, pictures, given="attribute", given_attribute=attribute)


def test_a_split_nobody_is_given_is_drawn_from_train(tmp_path: Path) -> None:
    pictures = [picture(f"train/{number}.png") for number in range(400)]
    pictures += [picture(f"val/{number}.png") for number in range(100)]
    rows = run(tmp_path, pictures, given="folder")
    assert all(row.split == "val" for name, row in rows.items() if name.startswith("val/"))
    drawn = [row for name, row in rows.items() if name.startswith("train/") and row.split != "train"]
    assert {(row.split, row.reason) for row in drawn} == {("test", "hash")}
    assert len(drawn) / 400 == pytest.approx(0.2, abs=0.06)


def test_a_picture_given_two_splits_by_its_likes_is_left_out(tmp_path: Path) -> None:
    pictures = [picture(f"{name}/{number}.png") for name in SPLITS for number in range(3)]
    pictures += [picture(f"{name}/x.png", look=7) for name in ("train", "val", "test", "other")]
    rows = run(tmp_path, pictures, given="folder")
    assert (rows["test/x.png"].split, rows["test/x.png"].reason) == ("test", "given")
    for name in ("train/x.png", "val/x.png", "other/x.png"):
        assert rows[name].split is None
        assert rows[name].reason == "its group is given train and val and test"


def test_pinned_pictures_draw_their_likes(tmp_path: Path) -> None:
    put_pins(tmp_path, {"a.png": "val", "x.png": "train", "y.png": "test"})
    pictures = [
        picture("a.png", look=1),
        picture("b.png", look=1),
        picture("test/c.png", look=1),
        picture("x.png", look=2),
        picture("y.png", look=2),
        picture("z.png", look=2),
        *many(20),
    ]
    rows = run(tmp_path, pictures, given="folder")
    assert {name: (rows[name].split, rows[name].reason) for name in rows if "00" not in name} == {
        "a.png": ("val", "pinned"),
        "b.png": ("val", "pinned"),
        "test/c.png": (None, "given test, but its group is pinned to val"),
        "x.png": ("train", "pinned"),
        "y.png": ("test", "pinned"),
        "z.png": (None, "ties pinned pictures of train and test"),
    }


def test_what_was_drawn_from_train_and_pinned_keeps_its_likes(tmp_path: Path) -> None:
    put_pins(tmp_path, {"train/a.png": "test"})
    pictures = [picture("train/a.png", look=1), picture("train/b.png", look=1)]
    pictures += [picture(f"{name}/{number}.png") for name in ("train", "val") for number in range(9)]
    rows = run(tmp_path, pictures, given="folder")
    assert rows["train/b.png"].split == "test"


def test_a_pinned_picture_that_is_gone_is_counted(tmp_path: Path) -> None:
    put_pins(tmp_path, {"gone.png": "val"})
    validated = write(tmp_path, many(50))
    counts = split(validated, tmp_path / "pinned.jsonl", tmp_path / "splits.jsonl", params())
    assert counts["pinned pictures that are gone"] == 1
    assert counts["groups"] == counts["by hash"] == counts["train"] + counts["val"] + counts["test"] == 50


def test_a_picture_pinned_to_two_splits_is_refused(tmp_path: Path) -> None:
    lines = [PinnedSplit(image_id="a.png", split="val"), PinnedSplit(image_id="a.png", split="test")]
    write_jsonl(tmp_path / "pinned.jsonl", lines)
    with pytest.raises(DataError, match=r"pinned\.jsonl:2: a\.png is pinned to val above, and to test here"):
        run(tmp_path, many(9))


@pytest.mark.parametrize("seed", range(40))
def test_no_split_stays_empty_when_there_are_three_groups(tmp_path: Path, seed: int) -> None:
    rows = run(tmp_path, many(3), seed=seed)
    assert sorted(str(row.split) for row in rows.values()) == ["test", "train", "val"]


def test_an_empty_split_takes_from_what_is_given_to_train(tmp_path: Path) -> None:
    pictures = [picture(f"train/{number}.png") for number in range(4)] + [picture("val/a.png")]
    rows = run(tmp_path, pictures, given="folder", test_fraction=0.0001)
    assert sum(row.split == "test" for row in rows.values()) == 1
    assert rows["val/a.png"].split == "val"


@pytest.mark.parametrize(
    ("pictures", "pins", "changes", "what"),
    [
        pytest.param(many(2), {}, {}, "2 pictures make 2 groups: too few.*\n  fix: add pictures", id="two"),
        pytest.param(
            [picture(f"{n}.png", look=1) for n in range(9)], {}, {}, "9 pictures make 1 groups", id="alike"
        ),
        pytest.param([], {}, {}, "0 pictures make 0 groups", id="none"),
        pytest.param(
            many(9),
            {},
            {"test_fraction": 0.0},
            "no picture goes to test, whose fraction is 0",
            id="fraction 0",
        ),
        pytest.param(
            many(4),
            {f"{n:04d}.png": "train" for n in range(4)},
            {},
            "no picture goes to val: all others are pinned",
            id="all pinned",
        ),
    ],
)
def test_a_split_that_stays_empty_is_refused(
    tmp_path: Path,
    pictures: list[LabelledPicture],
    pins: Mapping[str, Split],
    changes: dict[str, Any],
    what: str,
) -> None:
    put_pins(tmp_path, pins)
    with pytest.raises(DataError, match=what):
        run(tmp_path, pictures, **changes)
    assert not (tmp_path / "splits.jsonl").exists()


def test_pin_brings_every_class_into_every_split_and_keeps_its_lines(tmp_path: Path) -> None:
    labels = {each.image_id: f"class {number % 9}" for number, each in enumerate(many(36))}
    validated, splits, pinned = (
        write(tmp_path, many(36), labels),
        tmp_path / "splits.jsonl",
        tmp_path / "pinned.jsonl",
    )
    before = b'{"split": "train", "image_id": "0000.png"}\n{"image_id":"gone.png","split":"val"}'  # by hand
    pinned.write_bytes(before)
    split(validated, pinned, splits, params())
    counts = pin(validated, splits, pinned)
    assert counts.total() == 35
    assert pinned.read_bytes().startswith(before)
    lines = read_jsonl(pinned, PinnedSplit)
    assert {(labels[line.image_id], line.split) for line in lines if line.image_id in labels} == {
        (f"class {number}", name) for number in range(9) for name in SPLITS
    }
    split(validated, pinned, splits, params())
    assert {row.reason for row in read_jsonl(splits, SplitRow)} == {"pinned"}
    whole = pinned.read_bytes()
    assert pin(validated, splits, pinned) == {}
    assert pinned.read_bytes() == whole


def test_pin_moves_nothing_that_is_given_and_pins_nothing_that_is_left_out(tmp_path: Path) -> None:
    pictures = [picture(f"{name}/{number}.png") for name in SPLITS for number in range(3)]
    pictures += [picture("train/x.png", look=7), picture("test/x.png", look=7)]
    labels = {each.image_id: "a" if "train" in each.image_id else "b" for each in pictures}
    validated = write(tmp_path, pictures, labels)
    split(validated, tmp_path / "pinned.jsonl", tmp_path / "splits.jsonl", params(given="folder"))
    pin(validated, tmp_path / "splits.jsonl", tmp_path / "pinned.jsonl")
    lines = {line.image_id: line.split for line in read_jsonl(tmp_path / "pinned.jsonl", PinnedSplit)}
    assert all(name.startswith(to) for name, to in lines.items())
    assert lines.keys() == {each.image_id for each in pictures} - {"train/x.png"}


def test_pin_moves_groups_whole(tmp_path: Path) -> None:
    pictures = [picture(f"{number}{name}.png", look=number + 1) for number in range(4) for name in "abc"]
    labels = {each.image_id: "a" for each in pictures}
    validated = write(tmp_path, pictures, labels)
    split(validated, tmp_path / "pinned.jsonl", tmp_path / "splits.jsonl", params())
    pin(validated, tmp_path / "splits.jsonl", tmp_path / "pinned.jsonl")
    lines = {line.image_id: line.split for line in read_jsonl(tmp_path / "pinned.jsonl", PinnedSplit)}
    assert all(len({lines[f"{number}{name}.png"] for name in "abc"}) == 1 for number in range(4))


def test_ten_thousand_pictures_are_dealt_in_a_moment(tmp_path: Path) -> None:
    rows = run(tmp_path, many(10_000))
    share = sum(row.split == "test" for row in rows.values()) / 10_000
    assert math.isclose(share, 0.2, abs_tol=0.02)
