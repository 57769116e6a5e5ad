import json
import subprocess
import sys
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnpipe import files
from cnnpipe.annotations import SPLITS, Split
from cnnpipe.errors import DataError
from cnnpipe.params.sample import SampleParams
from cnnpipe.stages.sample import BANDS, VIA_FILE, crop_background, read_items, sample

PARAMS = SampleParams(seed=7, num_scenes=40, side_px=160)
CLASSES = {"bag", "boot", "coat", "dress", "sneaker", "trouser"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "raw"
    sample(folder, PARAMS)
    return folder


@pytest.fixture(scope="module")
def project(raw: Path) -> dict[str, Any]:
    return dict(json.loads((raw / VIA_FILE).read_text(encoding="utf-8")))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def regions_of(project: dict[str, Any]) -> list[dict[str, Any]]:
    return [region for entry in project["_via_img_metadata"].values() for region in entry["regions"]]


def test_same_seed_same_bytes_other_seed_other_scenes(tmp_path: Path) -> None:
    small = {"num_scenes": 10, "side_px": 64}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample(tmp_path / name, SampleParams(seed=seed, **small))
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys()
    assert not any(first[name] == other[name] for name in first)


def test_the_splits_have_70_15_and_15_percent_of_the_scenes(raw: Path) -> None:
    pictures = sorted(raw.rglob("*.jpg"))
    assert Counter(path.parent.name for path in pictures) == {"train": 28, "val": 6, "test": 6}
    for path in pictures:
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == ((160, 160), "RGB")


def test_the_report_counts_scenes_and_objects(tmp_path: Path) -> None:
    counts = sample(tmp_path / "raw", SampleParams(seed=3, num_scenes=10, side_px=64))
    assert counts["scenes"] == 10
    written = json.loads((tmp_path / "raw" / VIA_FILE).read_text())
    labels = Counter(region["region_attributes"]["class"] for region in regions_of(written))
    assert labels == {label: counts[label] for label in CLASSES}


def test_via_accepts_the_project(raw: Path, project: dict[str, Any]) -> None:
    """What VIA 2.0.11 was seen to need of a project."""
    assert {"_via_settings", "_via_img_metadata", "_via_attributes"} <= project.keys()
    assert project["_via_settings"].keys() <= {"ui", "core", "project"}
    assert sorted(project["_via_image_id_list"]) == sorted(project["_via_img_metadata"])
    for key, entry in project["_via_img_metadata"].items():
        assert entry.keys() == {"filename", "size", "regions", "file_attributes"}
        assert entry["size"] == (raw / entry["filename"]).stat().st_size
        assert key == f"{entry['filename']}{entry['size']}"
        assert isinstance(entry["regions"], list)
    for attributes in project["_via_attributes"].values():
        for attribute in attributes.values():
            assert attribute["type"] == "dropdown"
            assert attribute["default_options"] == {}
            assert attribute["options"]


def test_every_value_is_an_option_of_its_attribute(project: dict[str, Any]) -> None:
    attributes = project["_via_attributes"]
    entries = project["_via_img_metadata"].values()
    assert {r["region_attributes"]["class"] for r in regions_of(project)} == CLASSES
    assert attributes["region"]["class"]["options"].keys() == CLASSES
    kinds = {entry["file_attributes"]["background"] for entry in entries}
    assert kinds <= attributes["file"]["background"]["options"].keys()


def test_classes_are_balanced_in_every_split(project: dict[str, Any]) -> None:
    for split in SPLITS:
        labels = Counter(
            region["region_attributes"]["class"]
            for entry in project["_via_img_metadata"].values()
            if entry["filename"].startswith(f"images/{split}/")
            for region in entry["regions"]
        )
        assert labels.keys() == CLASSES
        assert max(labels.values()) - min(labels.values()) <= 2  # a round begun, an item without a place


def test_regions_are_rects_and_polygons_of_whole_pixels_inside_the_scene(project: dict[str, Any]) -> None:
    shapes = [region["shape_attributes"] for region in regions_of(project)]
    names = Counter(shape["name"] for shape in shapes)
    assert names.keys() == {"rect", "polygon"}
    assert 0.2 < names["rect"] / len(shapes) < 0.47
    for shape in shapes:
        if shape["name"] == "rect":
            xs = [shape["x"], shape["x"] + shape["width"]]
            ys = [shape["y"], shape["y"] + shape["height"]]
        else:
            xs, ys = shape["all_points_x"], shape["all_points_y"]
            assert 6 <= len(xs) == len(ys) <= 80
        assert all(isinstance(value, int) and 0 <= value <= 160 for value in xs + ys)
        assert 15 <= max(max(xs) - min(xs), max(ys) - min(ys)) <= 100


def test_no_item_is_in_two_splits() -> None:
    pictures = {split: {item.picture.tobytes() for item in items} for split, items in read_items().items()}
    assert all(len(items) >= 200 for items in pictures.values())
    for one, other in combinations(SPLITS, 2):
        assert not pictures[one] & pictures[other]


@pytest.mark.parametrize("split", SPLITS)
def test_a_background_is_cut_from_the_rows_of_its_split(split: Split) -> None:
    rows = np.repeat(np.arange(100, dtype=np.uint8)[:, None], 100, axis=1)  # a pixel's value is its row
    photograph = Image.fromarray(np.stack([rows] * 3, axis=2))
    low, high = (100 * fraction for fraction in BANDS[split])
    rng = np.random.default_rng(0)
    seen = np.concatenate(
        [np.asarray(crop_background(photograph, split, 64, rng), dtype=float).ravel() for _ in range(50)]
    )
    # the light is changed by 0.75 to 1.2
    assert seen.min() >= 0.75 * low - 1
    assert seen.max() <= 1.2 * high + 1


def test_the_bands_of_the_splits_do_not_overlap() -> None:
    ordered = sorted(BANDS.values())
    assert ordered[0][0] == 0.0
    assert ordered[-1][1] == 1.0
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))


def test_files_of_the_user_are_refused_and_left(tmp_path: Path) -> None:
    files.write_text(tmp_path / "raw" / "images" / "holiday.jpg", "mine")
    with pytest.raises(DataError, match=r"holiday\.jpg.*would be deleted\n.*ingest\.raw_dir"):
        sample(tmp_path / "raw", PARAMS)
    assert contents(tmp_path / "raw") == {"images/holiday.jpg": b"mine"}


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    params = SampleParams(seed=1, num_scenes=10, side_px=64)
    sample(tmp_path / "raw", params)
    before = contents(tmp_path / "raw")
    (tmp_path / "raw" / VIA_FILE).unlink()  # as a kill in the midst of deleting leaves it
    files.write_text(tmp_path / "raw.part" / "images" / "torn.jpg", "")
    sample(tmp_path / "raw", params)
    assert contents(tmp_path / "raw") == before
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_it_needs_no_heavy_library() -> None:
    code = "import sys, cnnpipe.stages.sample; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "cv2", "albumentations", "matplotlib", "scipy"} & set(loaded.stdout.split())
