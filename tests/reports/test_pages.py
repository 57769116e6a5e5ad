"""Pages: self-contained, escaped, with figures that do not disturb each other."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cnnpipe.reports.definitions import OF_A_CLASS, OVERALL
from cnnpipe.reports.pages import inline_svg, render
from cnnpipe.reports.thumbnails import thumbnail_uri

SVG = (
    '<?xml version="1.0"?><!DOCTYPE svg><svg id="x"><metadata>who made it</metadata>'
    '<defs><clipPath id="p1"/></defs><g clip-path="url(#p1)"><use href="#p1"/>'
    '<text>id="p1" url(#p1)</text></g></svg>'
)


def test_inline_figure_has_ids_of_its_own_and_its_text_as_it_was() -> None:
    element = inline_svg(SVG, name="roc")
    assert element == (
        '<svg id="roc-x"><defs><clipPath id="roc-p1"/></defs><g clip-path="url(#roc-p1)">'
        '<use href="#roc-p1"/><text>id="p1" url(#p1)</text></g></svg>'
    )


def test_template_with_an_unknown_name_is_an_error() -> None:
    with pytest.raises(Exception, match="undefined"):
        render("experiment.html")


def test_definitions_are_whole_and_their_titles_differ() -> None:
    for group in (OF_A_CLASS, OVERALL):
        assert all(d.title and d.formula and d.meaning for d in group.values())
        assert len({d.title for d in group.values()}) == len(group)


@pytest.mark.parametrize("shape", [(300, 200, 3), (40, 20, 3), (40, 20, 1), (40, 20)], ids=str)
def test_thumbnail_is_the_picture_no_larger_than_asked(shape: tuple[int, ...]) -> None:
    picture = np.full(shape, 200, dtype=np.uint8)
    picture[: shape[0] // 2] = 30  # dark above
    prefix, encoded = thumbnail_uri(picture, max_side_px=60).split(",")
    assert re.fullmatch(r"data:image/jpeg;base64", prefix)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L"))
    assert max(shown.shape) == min(60, max(shape))
    assert shown[2].mean() == pytest.approx(30, abs=8)
    assert shown[-3].mean() == pytest.approx(200, abs=8)
