"""Stage `sample`: compose the embedded scenes as a VIA project, so that a fresh clone has data.

Real pictures, composed scenes: cut-outs of Fashion-MNIST on crops of photographs; sample_bank/SOURCES.md
names the sources. Splits share no cut-out and no part of a photograph.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources
from itertools import cycle, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from cnnpipe import files
from cnnpipe.annotations import SPLITS, Split
from cnnpipe.augmentation.scenes import (
    Look,
    PlacedItem,
    covered_by,
    cut_out,
    hide_behind,
    paste_item,
    render_item,
)
from cnnpipe.errors import DataError
from cnnpipe.geometry.outlines import simplify_outline, trace_outline
from cnnpipe.params.sample import SampleParams
from cnnpipe.seeding import seed_of, uniform_of

VIA_FILE: Final = "via_project.json"

# Background photographs and the kind each stands for, the value of the file attribute `background`.
BACKGROUNDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brick": "brick",
        "chelsea": "cat",
        "coffee": "coffee",
        "grass": "grass",
        "gravel": "gravel",
        "hubble_deep_field": "stars",
        "retina": "retina",
        "rocket": "rocket",
    }
)
# Rows of each photograph, as fractions of its height, that a split may show.
BANDS: Final[Mapping[Split, tuple[float, float]]] = MappingProxyType(
    {"train": (0.0, 0.46), "val": (0.46, 0.73), "test": (0.73, 1.0)}
)
_HELD_OUT_FRACTION: Final = 0.15  # of scenes: for val, and again for test
_VAL_ITEMS_FRACTION: Final = 1 / 6  # of each class in train_x
_CROP_FRACTION: Final = (0.22, 0.27)  # side of a background crop, of the photograph's; fits every band
_ITEMS_PER_SCENE: Final = (0.2, 0.35, 0.27, 0.18)  # probability of 1, 2, 3 and 4 items: 2.43 on average
_LENGTH_FRACTION: Final = (0.25, 0.5)  # an item's longer side, of the scene's
_MAX_ANGLE_DEG: Final = 30.0
_RECT_FRACTION: Final = 1 / 3  # of the regions; the others are polygons
_OUTLINE_TOLERANCE_PX: Final = 1.0
_HIDDEN_FRACTION: Final = (
    0.4  # of an item's area, at the most; each item laid on others draws a limit below it
)
_PLACES_TRIED: Final = 60  # per item; one that finds no place is left out
_JPEG_QUALITY: Final = 92
_BANK: Final = resources.files("cnnpipe") / "sample_bank"


class Item(msgspec.Struct, frozen=True):
    """A product of the bank: grey picture (28, 28) and its opacity."""

    label: str
    picture: NDArray[np.uint8]
    opacity: NDArray[np.uint8]


def sample(out: Path, params: SampleParams) -> Counter[str]:
    """Write the scenes and `via_project.json` below `out`; return scenes, items left out, objects per class.

    Raises:
        DataError: `out` holds files that this stage has not written.
    """
    _refuse_foreign_files(out)
    splits = _splits_of_scenes(params.num_scenes)
    decks = {split: _deal(items, params.seed, split) for split, items in read_items().items()}
    kinds = {split: _deal_kinds(params.seed, split) for split in SPLITS}
    photographs = _read_photographs()
    counts: Counter[str] = Counter(scenes=len(splits))
    entries = []
    with files.whole_folder(out) as folder:
        for number, split in enumerate(splits):
            rng = np.random.default_rng(seed_of(params.seed, "scene", number))
            kind = next(kinds[split])
            scene = crop_background(photographs[kind], split, params.side_px, rng)
            wanted = list(islice(decks[split], int(rng.choice([1, 2, 3, 4], p=_ITEMS_PER_SCENE))))
            scene, placed = _lay_out(scene, wanted, rng)
            filename = f"images/{split}/scene_{number:04d}.jpg"
            jpeg = _to_jpeg(scene)
            files.write_bytes(folder / filename, jpeg)
            regions = [_region(item, _is_rect(params.seed, filename, i)) for i, item in enumerate(placed)]
            entries.append(_via_entry(filename, len(jpeg), BACKGROUNDS[kind], regions))
            counts["items left out"] += len(wanted) - len(placed)
            counts.update(item.label for item in placed)
        files.write_json(folder / VIA_FILE, _via_project(entries))
    return counts


def read_items() -> dict[Split, list[Item]]:
    """Return the products of each split: val has the last of each class in train_x, test all of test_x."""
    with np.load(io.BytesIO(_BANK.joinpath("items.npz").read_bytes()), allow_pickle=False) as bank:
        classes = [str(name) for name in bank["classes"]]
        known = _to_items(bank["train_x"], bank["train_y"], classes)
        unseen = _to_items(bank["test_x"], bank["test_y"], classes)
    items: dict[Split, list[Item]] = {"train": [], "val": [], "test": unseen}
    for label in classes:
        of_class = [item for item in known if item.label == label]
        num_val = round(_VAL_ITEMS_FRACTION * len(of_class))
        items["train"] += of_class[:-num_val]
        items["val"] += of_class[-num_val:]
    return items


def crop_background(
    photograph: Image.Image, split: Split, side_px: int, rng: np.random.Generator
) -> Image.Image:
    """Return a square crop of the split's band of the photograph, mirrored and lit at random."""
    top, bottom = (round(fraction * photograph.height) for fraction in BANDS[split])
    crop_px = min(round(rng.uniform(*_CROP_FRACTION) * photograph.height), bottom - top)  # both are rounded
    x = int(rng.integers(0, photograph.width - crop_px, endpoint=True))
    y = int(rng.integers(top, bottom - crop_px, endpoint=True))
    crop = photograph.crop((x, y, x + crop_px, y + crop_px))
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    crop = crop.resize((side_px, side_px), Image.Resampling.BICUBIC)
    return ImageEnhance.Brightness(crop).enhance(float(rng.uniform(0.75, 1.2)))


def _refuse_foreign_files(out: Path) -> None:
    for path in sorted(out.rglob("*")) if out.exists() else []:
        name = path.relative_to(out)
        is_scene = name.parts[0] == "images" and name.name.startswith("scene_")
        if path.is_file() and not is_scene and name != Path(VIA_FILE):
            fix = "move your own data to another folder and name that in ingest.raw_dir"
            raise DataError(str(path), "is no part of the sample and would be deleted", fix)


def _splits_of_scenes(num_scenes: int) -> list[Split]:
    num_held_out = round(_HELD_OUT_FRACTION * num_scenes)
    counts: dict[Split, int] = {
        "train": num_scenes - 2 * num_held_out,
        "val": num_held_out,
        "test": num_held_out,
    }
    return [split for split, count in counts.items() for _ in range(count)]


def _to_items(
    pictures_NHW: NDArray[np.uint8], class_index_N: NDArray[np.integer[Any]], classes: list[str]
) -> list[Item]:
    opacity_NHW = cut_out(pictures_NHW)
    return [
        Item(classes[k], picture, opacity)
        for k, picture, opacity in zip(class_index_N, pictures_NHW, opacity_NHW, strict=True)
    ]


def _deal(items: list[Item], seed: int, split: Split) -> Iterator[Item]:
    """Yield items for ever: each class once per round, each item once before any of its class again."""
    rng = np.random.default_rng(seed_of(seed, "deck", split))
    by_label: dict[str, list[Item]] = {}
    for item in items:
        by_label.setdefault(item.label, []).append(item)
    decks = {
        label: cycle([of_class[i] for i in rng.permutation(len(of_class))])
        for label, of_class in by_label.items()
    }
    for label in _rounds(list(decks), rng):
        yield next(decks[label])


def _deal_kinds(seed: int, split: Split) -> Iterator[str]:
    return _rounds(list(BACKGROUNDS), np.random.default_rng(seed_of(seed, "kinds", split)))


def _rounds(names: list[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield names for ever: all of them in random order, then again in another."""
    while True:
        yield from rng.permutation(names).tolist()


def _read_photographs() -> dict[str, Image.Image]:
    folder = _BANK.joinpath("backgrounds")
    return {
        name: Image.open(io.BytesIO(folder.joinpath(f"{name}.jpg").read_bytes())).convert("RGB")
        for name in BACKGROUNDS
    }


def _lay_out(
    scene: Image.Image, wanted: list[Item], rng: np.random.Generator
) -> tuple[Image.Image, list[PlacedItem]]:
    """Return the scene with the items that found a place, each later one lying over those before it."""
    placed: list[PlacedItem] = []
    for item in wanted:
        look = _draw_look(scene.width, rng)
        picture = render_item(item.picture, item.opacity, look)
        min_visible_fraction = 1.0 - float(rng.uniform(0.0, _HIDDEN_FRACTION))
        for _ in range(_PLACES_TRIED):
            x = int(rng.integers(0, scene.width - picture.width, endpoint=True))
            y = int(rng.integers(0, scene.height - picture.height, endpoint=True))
            covered_HW = covered_by(picture, x=x, y=y, width=scene.width, height=scene.height)
            seen = [
                hide_behind(below, covered_HW, min_visible_fraction=min_visible_fraction) for below in placed
            ]
            if all(seen):
                placed = [below for below in seen if below] + [PlacedItem(item.label, covered_HW, covered_HW)]
                scene = paste_item(scene, picture, x=x, y=y, shadow=look.shadow)
                break
    return scene, placed


def _draw_look(side_px: int, rng: np.random.Generator) -> Look:
    return Look(
        length_px=round(rng.uniform(*_LENGTH_FRACTION) * side_px),
        angle_deg=float(rng.uniform(-_MAX_ANGLE_DEG, _MAX_ANGLE_DEG)),
        is_mirrored=bool(rng.random() < 0.5),
        hue=float(rng.random()),
        saturation=float(rng.uniform(0.1, 0.75)),
        value=float(rng.uniform(0.65, 1.0)),
        shadow=float(rng.uniform(0.35, 0.65)),
    )


def _to_jpeg(scene: Image.Image) -> bytes:
    buffer = io.BytesIO()
    scene.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _is_rect(seed: int, filename: str, region: int) -> bool:
    return uniform_of(seed, "shape", filename, region) < _RECT_FRACTION


def _region(item: PlacedItem, is_rect: bool) -> dict[str, Any]:
    """Return a VIA region around what is seen of the item, in its largest piece."""
    outline_N2 = trace_outline(item.visible)
    if is_rect:
        x, y = (int(low) for low in outline_N2.min(axis=0))
        width, height = (int(size) for size in np.ptp(outline_N2, axis=0))
        shape: dict[str, Any] = {"name": "rect", "x": x, "y": y, "width": width, "height": height}
    else:
        xs, ys = simplify_outline(outline_N2, tolerance_px=_OUTLINE_TOLERANCE_PX).T.tolist()
        shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    return {"shape_attributes": shape, "region_attributes": {"class": item.label}}


def _via_entry(
    filename: str, size_bytes: int, background: str, regions: list[dict[str, Any]]
) -> dict[str, Any]:
    attributes = {"background": background}
    return {"filename": filename, "size": size_bytes, "regions": regions, "file_attributes": attributes}


def _via_project(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the project as VIA 2.0.10 to 2.0.12 save it; options are the values that occur.

    Source: VIA 2.0.10, src/via.js, `project_save_confirmed`.
    """
    metadata = {f"{entry['filename']}{entry['size']}": entry for entry in entries}
    labels = {r["region_attributes"]["class"] for entry in entries for r in entry["regions"]}
    return {
        "_via_settings": {
            "ui": {"image": {"region_label": "class", "region_color": "class"}},
            "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
            "project": {"name": "cnnpipe_sample"},
        },
        "_via_img_metadata": metadata,
        "_via_attributes": {
            "region": {"class": _dropdown("the product", labels)},
            "file": {"background": _dropdown("what the picture was laid on", set(BACKGROUNDS.values()))},
        },
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(metadata),
    }


def _dropdown(description: str, options: set[str]) -> dict[str, Any]:
    return {
        "type": "dropdown",
        "description": description,
        "options": dict.fromkeys(sorted(options), ""),
        "default_options": {},
    }
