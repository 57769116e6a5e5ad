"""What the gate notices of good data too: pictures and boxes twice, blank pictures, uneven classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surveys import a_gate

from cnnpipe.annotations import FINDING_CODES, Finding, Picture, Region, found
from cnnpipe.errors import DataError
from cnnpipe.geometry.shapes import Polygon, Rect, Shape
from cnnpipe.reports.validation_summary import summarise_codes
from cnnpipe.stages.validate import Ingested, check_records, validate

HASH = 0x0F0F_F0F0_3C3C_C3C3
FEW = {"class-rare"}  # of data as small as this


def picture(image_id: str, *, sha256: str | None = None, bits: int | None = None, **changes: Any) -> Picture:
    """Return a picture of 100 x 80 pixels; `bits` are those of its hash that differ from HASH."""
    known: dict[str, Any] = {
        "image_id": image_id,
        "width": 100,
        "height": 80,
        "mode": "RGB",
        "exif_orientation": 1,
        "size_bytes": 1,
        "sha256": sha256 or f"of {image_id}",
        "perceptual_hash": "" if bits is None else f"{HASH ^ bits:016x}",
        "file_attributes": {},
    }
    return Picture(**(known | changes))


def region(number: int, shape: Shape, label: str = "a", *, image_id: str = "a.png") -> Region:
    return Region(
        image_id=image_id, region=number, source="via.json", shape=shape, attributes={"class": label}
    )


def check(pictures: Sequence[Picture], regions: Sequence[Region] = (), **changes: Any) -> list[Finding]:
    data = Ingested(pictures=list(pictures), regions=list(regions), findings=[])
    passed = check_records(data, a_gate(**changes), "data")
    return [finding for finding in passed.findings if finding.code not in {*FEW, "picture-empty"}]


def told(findings: Sequence[Finding]) -> list[tuple[str, str, int | None]]:
    return [(finding.code, finding.where, finding.region) for finding in findings]


WHOLE = Rect(0, 0, 100, 80)


@pytest.mark.parametrize(
    ("shape", "limit", "is_huge"),
    [
        pytest.param(WHOLE, 0.95, True, id="all of it"),
        pytest.param(WHOLE, 1.0, False, id="never more than all"),
        pytest.param(Rect(-50, -50, 500, 500), 0.95, True, id="clipped to all of it"),
        pytest.param(Rect(0, 0, 95, 80), 0.95, False, id="just the limit"),
        pytest.param(Rect(0, 0, 96, 80), 0.95, True, id="a pixel more"),
        pytest.param(Polygon((0, 100, 50), (0, 0, 80)), 0.95, True, id="the box of an outline counts"),
        pytest.param(Rect(0, 0, 100, 8), 0.95, False, id="wide and low"),
    ],
)
def test_a_box_that_fills_its_picture_is_noticed(shape: Shape, limit: float, is_huge: bool) -> None:
    data = Ingested(pictures=[picture("a.png")], regions=[region(0, shape)], findings=[])
    passed = check_records(data, a_gate(huge_box_fraction=limit), "data")
    assert [f.region for f in passed.findings if f.code == "box-huge"] == ([0] if is_huge else [])
    assert len(passed.objects) == 1  # and kept


BOX = Rect(10, 10, 40, 40)
MOVED = Rect(11, 10, 40, 40)  # IoU 39 / 41


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        pytest.param([(BOX, "a"), (MOVED, "a")], [("box-repeated", 1)], id="same class"),
        pytest.param([(BOX, "a"), (MOVED, "b")], [("box-contested", 1)], id="other class"),
        pytest.param([(BOX, "a"), (BOX, "b")], [("box-contested", 1)], id="one shape, two classes"),
        pytest.param([(BOX, "a"), (BOX, "a")], [("duplicate-region", 1)], id="the very same: left out"),
        pytest.param([(BOX, "a"), (Rect(13, 10, 40, 40), "a")], [], id="IoU 37 / 43"),
        pytest.param([(BOX, "a"), (Rect(12, 12, 30, 30), "a")], [], id="one within the other"),
        pytest.param(
            [(BOX, "a"), (MOVED, "a"), (Rect(10, 11, 40, 40), "b")],
            [("box-repeated", 1), ("box-contested", 2)],
            id="three",
        ),
        pytest.param(
            [(BOX, "b"), (BOX, "a"), (MOVED, "a")],
            [("box-contested", 1), ("box-repeated", 2)],
            id="a repeat of a contested one is told once",
        ),
        pytest.param(
            [(Rect(-60, 10, 80, 40), "a"), (Rect(-6, 10, 26, 40), "a")],
            [("box-clipped", 0), ("box-clipped", 1), ("box-repeated", 1)],
            id="equal in the picture",
        ),
    ],
)
def test_boxes_on_one_spot_are_noticed(
    regions: list[tuple[Shape, str]], expected: list[tuple[str, int]]
) -> None:
    records = [region(n, *each) for n, each in enumerate(regions)]
    noticed = check([picture("a.png")], records)
    assert [(finding.code, finding.region) for finding in noticed] == expected
    if len(set(regions)) == len(regions):  # of copies the first that stands there is kept
        assert check([picture("a.png")], records[::-1]) == noticed


def test_what_lies_on_one_spot_is_told_with_its_number_and_class() -> None:
    repeated, contested = check([picture("a.png")], [region(3, BOX), region(5, MOVED), region(9, MOVED, "b")])
    assert repeated.what == "is 'a' as region 3, and nearly where that is (IoU 0.95)"
    assert contested.what == "is 'b', but region 3, nearly where it is, is 'a' (IoU 0.95)"


def test_boxes_of_two_pictures_are_not_compared() -> None:
    pictures = [picture("a.png"), picture("b.png")]
    assert check(pictures, [region(0, BOX), region(0, MOVED, image_id="b.png")]) == []


def test_how_much_overlap_is_noticed_is_a_choice() -> None:
    regions = [region(0, BOX), region(1, Rect(13, 10, 40, 40))]
    assert told(check([picture("a.png")], regions, repeated_box_iou=0.86)) == [("box-repeated", "a.png", 1)]


@pytest.mark.parametrize(
    ("bits", "limit", "is_near"),
    [(0, 0, True), (0b1, 0, False), (0b1111, 4, True), (0b11111, 4, False), (0, -1, False)],
)
def test_pictures_that_look_alike_are_noticed(bits: int, limit: int, is_near: bool) -> None:
    pictures = [picture("b.png", bits=bits), picture("a.png", bits=0)]
    noticed = check(pictures, near_duplicate_bits=limit)
    assert told(noticed) == ([("picture-near-duplicate", "b.png", None)] if is_near else [])
    if is_near:
        assert noticed[0].other == "a.png"
        assert f"{bits.bit_count()} of 64 bits" in noticed[0].what


def test_a_copy_of_a_file_is_no_near_duplicate_besides() -> None:
    pictures = [picture("a.png", sha256="x", bits=0), picture("b.png", sha256="x", bits=0)]
    [finding] = check(pictures)
    assert (finding.code, finding.where, finding.other) == ("picture-duplicate", "b.png", "a.png")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["train/1.png", "val/1.png"], ["val/1.png"], id="folders of two splits"),
        pytest.param(["x/Training/1.png", "x/dev/1.png"], ["x/dev/1.png"], id="other names of splits"),
        pytest.param(["train/1.png", "train/2.png"], [], id="one split"),
        pytest.param(["train/1.png", "2.png"], [], id="one is given none"),
        pytest.param(["a/1.png", "b/1.png"], [], id="folders that are no splits"),
        pytest.param(
            ["test/1.png", "train/1.png", "train/2.png"], ["train/1.png", "train/2.png"], id="three"
        ),
    ],
)
@pytest.mark.parametrize("is_same_file", [True, False])
def test_pictures_that_cross_given_splits_are_noticed(
    names: list[str], expected: list[str], is_same_file: bool
) -> None:
    shas = ["x"] * 3 if is_same_file else ["x", "y", "z"]
    pictures = [picture(name, sha256=sha, bits=0) for name, sha in zip(names, shas, strict=False)]
    noticed = [finding for finding in check(pictures) if finding.code == "duplicate-across-splits"]
    assert [finding.where for finding in noticed] == expected
    assert all(finding.other in names and finding.other in finding.what for finding in noticed)
    assert all(finding.severity == "warning" for finding in noticed)


def test_both_splits_are_named() -> None:
    crossing, _ = check([picture("train/1.png", sha256="x"), picture("val/2.png", sha256="x")])
    assert crossing.what == "in a folder of val, looks like train/1.png, in one of train"


@pytest.mark.parametrize(
    ("contrast", "limit", "is_blank"),
    [(0.0, 2.0, True), (1.99, 2.0, True), (2.0, 2.0, False), (0.0, 0.0, False), (None, 255.0, False)],
)
def test_a_blank_picture_is_noticed(contrast: float | None, limit: float, is_blank: bool) -> None:
    noticed = check([picture("a.png", contrast=contrast)], blank_contrast=limit)
    assert told(noticed) == ([("picture-blank", "a.png", None)] if is_blank else [])


def test_of_pictures_known_by_headers_only_nothing_is_guessed() -> None:
    pictures = [picture(f"{split}/{n}.png") for split in ("train", "val") for n in range(3)]
    assert check(pictures) == []


@pytest.mark.parametrize(("number", "is_uneven"), [(19, False), (20, False), (21, True)])
def test_uneven_classes_are_noticed(number: int, is_uneven: bool) -> None:
    regions = [region(n, Rect(4 * n, 0, 4, 9)) for n in range(number)] + [region(99, Rect(0, 50, 9, 9), "b")]
    noticed = check([picture("a.png")], regions)
    assert told(noticed) == ([("class-imbalance", "a.png", None)] if is_uneven else [])
    if is_uneven:
        assert noticed[0].what == "'a' has 21 objects, 'b' 1: 21 times as many"


def test_uneven_classes_of_pictures_are_noticed_apart() -> None:
    labels = ["day"] * 5 + ["night"]
    pictures = [picture(f"{n}.png", file_attributes={"scene": label}) for n, label in enumerate(labels)]
    [finding] = check(pictures, image_label_attribute="scene", imbalance_ratio=4.0)
    assert (finding.where, finding.what) == ("5.png", "'day' has 5 pictures, 'night' 1: 5 times as many")


def test_a_region_counts_once_and_its_picture_not_besides() -> None:
    numbers: dict[str, list[int | None]] = {"a": [None, 0, 1, 1], "b": [None], "c": [4]}
    findings = [
        found("exif-frame", where, f"{place}", "", region=number)
        for where, each in numbers.items()
        for place, number in enumerate(each)
    ]
    [summary] = summarise_codes(findings, {}, {"picture": 3, "region": 8, "set": 0})
    assert (summary.count, summary.share) == (4, 0.5)


PICTURES = st.lists(
    st.builds(
        lambda number, folder, sha, bits, contrast: picture(
            f"{folder}/{number}.png", sha256=sha, bits=bits, contrast=contrast
        ),
        st.integers(0, 9),
        st.sampled_from(["train", "val", "x"]),
        st.sampled_from(["x", "y", None]),
        st.sampled_from([None, 0, 1, 3, 0xFFFF]),
        st.sampled_from([None, 0.0, 9.0]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each.image_id,
)
SHAPES = st.builds(Rect, *[st.integers(-5, 8).map(float)] * 2, *[st.integers(30, 100).map(float)] * 2)


@given(
    PICTURES,
    st.lists(st.tuples(SHAPES, st.sampled_from("ab")), max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_order_of_pictures_and_regions_decides_nothing_but_which_copy_counts(
    pictures: list[Picture], drawn: list[tuple[Shape, str]], random: Any
) -> None:
    regions = [
        region(n, shape, label, image_id=pictures[n % len(pictures)].image_id)
        for n, (shape, label) in enumerate(dict.fromkeys(drawn))  # no copies
    ]
    before = check(pictures, regions)
    mixed_pictures, mixed_regions = list(pictures), list(regions)
    random.shuffle(mixed_pictures)
    random.shuffle(mixed_regions)
    assert check(mixed_pictures, mixed_regions) == before


@given(PICTURES)
def test_a_picture_that_is_there_twice_is_found_wherever_it_stands(pictures: list[Picture]) -> None:
    copy = picture("zzz/copy.png", sha256=pictures[0].sha256)
    for mixed in ([copy, *pictures], [*pictures, copy]):
        wheres = {finding.where for finding in check(mixed) if finding.code == "picture-duplicate"}
        assert "zzz/copy.png" in wheres


@pytest.mark.parametrize("code", [code for code, (_, unit) in FINDING_CODES.items() if unit != "set"])
def test_every_code_of_pictures_and_regions_can_have_a_limit(code: str, tmp_path: Path) -> None:
    # the stage looks at the codes before it reads
    with pytest.raises(DataError, match=r"images\.jsonl: file not found"):
        validate(tmp_path / "none", tmp_path, tmp_path / "out", a_gate(limits={code: 0.5}))
