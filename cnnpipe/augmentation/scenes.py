"""Scenes by cut and paste: product pictures cut out, tinted, turned and laid on a background with shadows.

Needs numpy and Pillow only. H W pixels, N pictures. Source of the idea: D. Dwibedi, I. Misra, M. Hebert,
Cut, Paste and Learn, ICCV 2017.
"""

import colorsys
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cnnpipe.geometry.outlines import outline_area, trace_outline

_INSIDE: Final = 12  # grey value, of 255, above which a pixel of a product on black is the product
_SHADOW_FRACTION: Final = 0.045  # of the item's longer side: offset, and blur


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How an item lies in a scene."""

    length_px: int  # longer side before the turn
    angle_deg: float  # anticlockwise
    is_mirrored: bool
    hue: float  # of the tint; hue, saturation and value in [0, 1]
    saturation: float
    value: float
    shadow: float  # share of the light it takes, in [0, 1]


class PlacedItem(msgspec.Struct, frozen=True, eq=False):
    """An item as it lies in the scene, and what is seen of it."""

    label: str
    covered: NDArray[np.bool_]  # (H, W) of the scene: where the item lies
    visible: NDArray[np.bool_]  # (H, W): what later items leave of that


def cut_out(pictures_NHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the opacity (N, H, W) of products photographed on black: holes filled, soft at the edge.

    The outside is what is dark and reached from the border over edges of pixels; a pixel of the product
    beside it is as opaque as it is bright, since the sensor mixed product and black there.
    """
    dark_NHW = np.pad(pictures_NHW <= _INSIDE, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    outside_NHW = np.zeros_like(dark_NHW)
    outside_NHW[:, 0] = True
    while True:
        grown_NHW = _with_neighbours(outside_NHW)
        reached_NHW = grown_NHW & dark_NHW
        if (reached_NHW == outside_NHW).all():
            break
        outside_NHW = reached_NHW
    inner = np.s_[:, 1:-1, 1:-1]
    edge_NHW = (grown_NHW & ~outside_NHW)[inner]
    soft_NHW = np.where(edge_NHW, np.minimum(pictures_NHW, 85) * 3, 255)
    return np.where(outside_NHW[inner], 0, soft_NHW).astype(np.uint8)


def render_item(picture_HW: NDArray[np.uint8], opacity_HW: NDArray[np.uint8], look: Look) -> Image.Image:
    """Return the item as an RGBA picture of just its size, in the given look."""
    box = Image.fromarray(opacity_HW).getbbox()
    grey, opacity = _solid(picture_HW, opacity_HW).crop(box), Image.fromarray(opacity_HW).crop(box)
    scale = look.length_px / max(grey.size)
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    layers = []
    for layer, fill in ((grey, 128), (opacity, 0)):
        large = layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if look.is_mirrored else layer
        large = large.resize(size, Image.Resampling.BICUBIC)
        layers.append(large.rotate(look.angle_deg, Image.Resampling.BICUBIC, expand=True, fillcolor=fill))
    item = _tint(layers[0], look)
    # a picture enlarged twofold has an edge two pixels wide: sharpen it to about one
    item.putalpha(layers[1].point([round(min(max(2.2 * (v - 127.5) + 127.5, 0), 255)) for v in range(256)]))
    return item.crop(item.getchannel("A").getbbox())


def paste_item(scene: Image.Image, item: Image.Image, *, x: int, y: int, shadow: float) -> Image.Image:
    """Return the scene with the item's top left corner at x, y, and its shadow below it to the right."""
    opacity = Image.new("L", scene.size)
    opacity.paste(item.getchannel("A"), (x, y))
    offset = max(1, round(_SHADOW_FRACTION * max(item.size)))
    shade = Image.new("L", scene.size)
    shade.paste(item.getchannel("A").point([round(v * shadow) for v in range(256)]), (x + offset, y + offset))
    shade = shade.filter(ImageFilter.GaussianBlur(offset))
    shaded = Image.composite(Image.new("RGB", scene.size), scene, shade)
    colour = Image.new("RGB", scene.size)
    colour.paste(item.convert("RGB"), (x, y))
    return Image.composite(colour, shaded, opacity)


def covered_by(item: Image.Image, *, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
    """Return which pixels of a scene (height, width) the item covers with its top left corner at x, y."""
    opacity = Image.new("L", (width, height))
    opacity.paste(item.getchannel("A"), (x, y))
    return np.asarray(opacity) > 127


def hide_behind(
    below: PlacedItem, covered_HW: NDArray[np.bool_], *, min_visible_fraction: float
) -> PlacedItem | None:
    """Return the item as seen behind another; None where less of its area would be seen in one piece."""
    if not (below.visible & covered_HW).any():
        return below
    visible_HW = below.visible & ~covered_HW
    if visible_HW.sum() < min_visible_fraction * below.covered.sum():
        return None
    whole, piece = outline_area(trace_outline(below.covered)), outline_area(trace_outline(visible_HW))
    if piece < min_visible_fraction * whole:
        return None
    return msgspec.structs.replace(below, visible=visible_HW)


def _with_neighbours(masks_NHW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    grown_NHW = masks_NHW.copy()
    grown_NHW[:, 1:] |= masks_NHW[:, :-1]
    grown_NHW[:, :-1] |= masks_NHW[:, 1:]
    grown_NHW[:, :, 1:] |= masks_NHW[:, :, :-1]
    grown_NHW[:, :, :-1] |= masks_NHW[:, :, 1:]
    return grown_NHW


def _solid(picture_HW: NDArray[np.uint8], opacity_HW: NDArray[np.uint8]) -> Image.Image:
    """Return the picture with its own mean around the item: no black bleeds in when it is enlarged."""
    inside_HW = opacity_HW > 0
    # the outermost pixels are half background
    light_HW = np.where(inside_HW, np.maximum(picture_HW, 24), round(float(picture_HW[inside_HW].mean())))
    return Image.fromarray(light_HW.astype(np.uint8))


def _tint(grey: Image.Image, look: Look) -> Image.Image:
    """Return the grey picture in shades of one colour: dark ones stay saturated, light ones go to white."""
    dark = colorsys.hsv_to_rgb(look.hue, look.saturation, 0.10 * look.value)
    light = colorsys.hsv_to_rgb(look.hue, look.saturation, look.value)
    tables = [
        [round(255 * (low + (high - low) * grey_value / 255)) for grey_value in range(256)]
        for low, high in zip(dark, light, strict=True)
    ]
    return Image.merge("RGB", [grey.point(table) for table in tables])
