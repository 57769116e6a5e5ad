"""Tiny VIA projects of coloured shapes with known boxes: small enough to train on in a test.

Every picture is `side_px` square and shows one or two shapes on a grey noise; the class of a
shape is its form and its colour, so a network learns it in seconds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "circle": (220, 40, 40),
    "square": (40, 180, 60),
    "triangle": (50, 80, 230),
}
SCENES = ("day", "night")  # file attribute `scene`: a bright and a dark background


@dataclass(frozen=True)
class DrawnObject:
    """One shape as it was drawn and annotated: its box is xyxy pixels."""

    image_id: str
    region: int
    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Project:
    """What `make_project` wrote below `folder`."""

    folder: Path
    annotations: str  # name of the VIA file in `folder`
    image_ids: tuple[str, ...]
    objects: tuple[DrawnObject, ...]


def make_project(
    folder: Path,
    *,
    num_pictures: int = 12,
    labels: Sequence[str] = tuple(COLOURS),
    splits: Sequence[str] = (),
    side_px: int = 32,
    seed: int = 0,
    kind: Literal["via1", "via2", "project"] = "project",
) -> Project:
    """Draw pictures into `folder` and annotate them in a VIA file beside them.

    Args:
        folder: made when absent; becomes the raw folder.
        num_pictures: picture i holds shapes of class i and, every second one, of class i + 1.
        labels: names of classes; those that are not in COLOURS are squares of their own grey.
        splits: names of folders that the pictures are dealt to in turn; none: `images/`.
        side_px: side of a picture, pixels.
        seed: other seeds draw other pictures.
        kind: the form of the VIA file: annotations of VIA 1 or 2, or a project.
    """
    entries: dict[str, Any] = {}
    image_ids, objects = [], []
    for index in range(num_pictures):
        image_id = _image_id(index, splits)
        scene = SCENES[index % len(SCENES)]
        wanted = [
            labels[(index // max(len(splits), 1) + more) % len(labels)] for more in range(1 + index % 2)
        ]
        picture, drawn = _draw_picture(image_id, wanted, scene, side_px, np.random.default_rng((seed, index)))
        path = folder / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        size = path.stat().st_size
        entries[f"{image_id}{size}"] = _entry(image_id, size, scene, drawn, first_version=kind == "via1")
        image_ids.append(image_id)
        objects.extend(drawn)
    name = "via_project.json"
    write_via(folder / name, entries, project=kind == "project")
    return Project(folder, name, tuple(image_ids), tuple(objects))


def entry(
    filename: str, *regions: Mapping[str, Any] | None, size: Any = -1, **file_attributes: Any
) -> dict[str, Any]:
    """Return the VIA entry of one picture."""
    return {
        "filename": filename,
        "size": size,
        "regions": list(regions),
        "file_attributes": file_attributes,
    }


def rect(x: Any, y: Any, width: Any, height: Any, **attributes: Any) -> dict[str, Any]:
    """Return a VIA region that is a rectangle."""
    shape = {"name": "rect", "x": x, "y": y, "width": width, "height": height}
    return {"shape_attributes": shape, "region_attributes": attributes}


def polygon(
    xs: Sequence[Any], ys: Sequence[Any], *, name: str = "polygon", **attributes: Any
) -> dict[str, Any]:
    """Return a VIA region that is a polygon or a polyline."""
    shape = {"name": name, "all_points_x": list(xs), "all_points_y": list(ys)}
    return {"shape_attributes": shape, "region_attributes": attributes}


def write_via(
    path: Path, entries: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, project: bool = True
) -> None:
    """Write entries as a VIA 2 project, or as the bare annotations it exports."""
    if not isinstance(entries, Mapping):
        entries = {f"{number}_{each['filename']}": each for number, each in enumerate(entries)}
    value: Mapping[str, Any] = entries
    if project:
        value = {
            "_via_settings": {"ui": {}, "core": {"default_filepath": ""}, "project": {"name": "synthetic"}},
            "_via_img_metadata": entries,
            "_via_attributes": {
                "region": {"class": {"type": "dropdown", "options": {}, "default_options": {}}},
                "file": {"scene": {"type": "text", "default_value": ""}},
            },
            "_via_data_format_version": "2.0.10",
            "_via_image_id_list": list(entries),
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def noise_picture(seed: int, *, width: int = 32, height: int = 32) -> Image.Image:
    """Return a picture like no other: coarse coloured noise, whose perceptual hash is its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def _image_id(index: int, splits: Sequence[str]) -> str:
    folder = splits[index % len(splits)] if splits else "images"
    return f"{folder}/picture_{index:04d}.png"


def _draw_picture(
    image_id: str, wanted: Sequence[str], scene: str, side_px: int, rng: np.random.Generator
) -> tuple[Image.Image, list[DrawnObject]]:
    level = 190 if scene == "day" else 60
    coarse = rng.integers(level - 50, level + 50, (8, 8, 1)).repeat(3, axis=2).astype(np.uint8)
    picture = Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    cell = side_px // 2
    objects = []
    for region, label in enumerate(wanted):
        side = int(rng.integers(cell * 5 // 8, cell - 1))
        # the first shape lies in the upper left quarter, the second in the lower right: never overlapping
        x, y = (int(rng.integers(0, cell - side)) + region * cell for _ in "xy")
        _draw_shape(draw, label, x, y, side)
        objects.append(DrawnObject(image_id, region, label, (x, y, x + side, y + side)))
    return picture, objects


def _draw_shape(draw: ImageDraw.ImageDraw, label: str, x: int, y: int, side: int) -> None:
    # Pillow's corners are inclusive pixels
    corners = (x, y, x + side - 1, y + side - 1)
    grey = sum(label.encode()) * 37 % 256
    colour = COLOURS.get(label, (grey, grey, 255 - grey))
    if label == "circle":
        draw.ellipse(corners, fill=colour)
    elif label == "triangle":
        draw.polygon([(x, corners[3]), (corners[2], corners[3]), (x + side // 2, y)], fill=colour)
    else:
        draw.rectangle(corners, fill=colour)


def _entry(
    image_id: str, size: int, scene: str, drawn: Sequence[DrawnObject], *, first_version: bool
) -> dict[str, Any]:
    regions: list[dict[str, Any]] = []
    for each in drawn:
        x_min, y_min, x_max, y_max = each.box
        attributes = {"class": each.label}
        if each.region % 2:  # every second one as a polygon, closed as VIA 1 does
            xs, ys = [x_min, x_max, x_max, x_min], [y_min, y_min, y_max, y_max]
            closing = slice(0, 1 if first_version else 0)
            regions.append(polygon(xs + xs[closing], ys + ys[closing], **attributes))
        else:
            regions.append(rect(x_min, y_min, x_max - x_min, y_max - y_min, **attributes))
    result = entry(image_id, *regions, size=size, scene=scene)
    if first_version:
        numbered = {str(number): region for number, region in enumerate(regions)}
        return result | {"regions": numbered, "fileref": "", "base64_img_data": ""}
    return result
