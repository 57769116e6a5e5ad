import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnnpipe.augmentation.scenes import (
    Look,
    PlacedItem,
    covered_by,
    cut_out,
    hide_behind,
    paste_item,
    render_item,
)

LOOK = Look(
    length_px=40, angle_deg=0.0, is_mirrored=False, hue=0.0, saturation=1.0, value=1.0, shadow=0.5
)  # red


def product() -> NDArray[np.uint8]:
    """Return a bright frame, 12 wide and 20 high, around a dark hole."""
    picture = np.zeros((28, 28), dtype=np.uint8)
    picture[4:24, 8:20] = 200
    picture[10:14, 12:16] = 0
    return picture


def slab(x_min: int, x_max: int) -> NDArray[np.bool_]:
    mask = np.zeros((10, 100), dtype=bool)
    mask[:, x_min:x_max] = True
    return mask


def test_cut_out_fills_holes_and_leaves_the_outside_clear() -> None:
    opacity = cut_out(product()[None])[0]
    expected = np.zeros((28, 28), dtype=np.uint8)
    expected[4:24, 8:20] = 255
    assert (opacity == expected).all()


def test_cut_out_is_soft_where_product_and_black_mix() -> None:
    picture = product()
    picture[4:24, 20] = 40
    opacity = cut_out(picture[None])[0]
    assert (opacity[4:24, 20] == 120).all()
    assert (opacity[4:24, 19] == 255).all()


def test_a_product_at_the_border_is_cut_out_too() -> None:
    opacity = cut_out(np.full((1, 28, 28), 180, dtype=np.uint8))
    assert (opacity == 255).all()


def test_cut_outs_do_not_depend_on_each_other() -> None:
    pictures = np.stack([product(), np.roll(product(), 3, axis=1), np.zeros_like(product())])
    together = cut_out(pictures)
    assert all((cut_out(pictures[i : i + 1])[0] == together[i]).all() for i in range(3))


def test_an_item_is_rendered_at_its_length_and_in_its_colour() -> None:
    picture = product()
    item = render_item(picture, cut_out(picture[None])[0], LOOK)
    assert abs(max(item.size) - 40) <= 1
    assert abs(min(item.size) - 24) <= 1
    red, green, blue = np.asarray(item.convert("RGB"))[20, 4]
    assert red > 150
    assert green == blue < 20


def test_a_mirrored_item_is_the_mirror_image() -> None:
    picture = product()
    picture[4:10, 8:12] = 90
    opacity = cut_out(picture[None])[0]
    mirrored = Look(**{f: getattr(LOOK, f) for f in LOOK.__struct_fields__} | {"is_mirrored": True})
    item, other = render_item(picture, opacity, LOOK), render_item(picture, opacity, mirrored)
    difference = np.asarray(item, dtype=int)[:, ::-1] - np.asarray(other, dtype=int)
    assert np.abs(difference).max() <= 2


def test_an_item_turned_a_quarter_lies_down() -> None:
    picture = product()
    turned = Look(**{f: getattr(LOOK, f) for f in LOOK.__struct_fields__} | {"angle_deg": 90.0})
    item = render_item(picture, cut_out(picture[None])[0], turned)
    assert item.width > 1.5 * item.height


def test_pasting_shows_the_item_darkens_beside_it_and_leaves_the_rest() -> None:
    picture = product()
    item = render_item(picture, cut_out(picture[None])[0], LOOK)
    scene = Image.new("RGB", (100, 100), (200, 200, 200))
    pasted = np.asarray(paste_item(scene, item, x=30, y=30, shadow=0.5), dtype=int)
    covered = covered_by(item, x=30, y=30, width=100, height=100)
    redness = pasted[covered][:, 0] - pasted[covered][:, 1]
    assert redness.min() > 0
    assert redness.mean() > 100
    assert pasted[50, 30 + item.width + 1].max() < 190  # the shadow, to the right
    assert (pasted[:20] == 200).all()
    assert (pasted[90:] == 200).all()
    assert (np.asarray(scene) == 200).all()  # the argument is left as it was


@pytest.mark.parametrize(
    ("cover", "is_allowed"),
    [
        pytest.param(slab(80, 100), True, id="beside it"),
        pytest.param(slab(36, 60), True, id="40 percent hidden at one end"),
        pytest.param(slab(35, 60), False, id="more than that"),
        pytest.param(slab(20, 40), False, id="cut into two pieces, a third hidden"),
        pytest.param(slab(0, 4), True, id="a little"),
    ],
)
def test_at_most_40_percent_of_an_item_may_be_hidden(cover: NDArray[np.bool_], is_allowed: bool) -> None:
    below = PlacedItem("bag", slab(0, 60), slab(0, 60))
    seen = hide_behind(below, cover, min_visible_fraction=0.6)
    assert (seen is not None) == is_allowed
    if seen is not None:
        assert (seen.visible == (slab(0, 60) & ~cover)).all()
        assert (seen.covered == slab(0, 60)).all()
        assert seen.visible.sum() >= 0.6 * seen.covered.sum()


def test_what_several_items_hide_is_added_up() -> None:
    below: PlacedItem | None = PlacedItem("bag", slab(0, 60), slab(0, 60))
    assert below is not None
    below = hide_behind(below, slab(0, 15), min_visible_fraction=0.6)
    assert below is not None
    assert hide_behind(below, slab(40, 60), min_visible_fraction=0.6) is None
