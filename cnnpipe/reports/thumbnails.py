"""Pictures as text, to stand inside a page."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def thumbnail_uri(picture: npt.NDArray[np.uint8], *, max_side_px: int = 120, quality: int = 90) -> str:
    """Return a picture as a `data:` address.

    Args:
        picture: (H, W, C) or (H, W), uint8, RGB or grey.
        max_side_px: a larger picture is shrunk to it; a smaller one stays as it is.
        quality: of the JPEG.
    """
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2:] == (1,) else picture)
    image.thumbnail((max_side_px, max_side_px))
    buffer = io.BytesIO()
    # full chroma: half of it blurs a picture of forty pixels
    image.save(buffer, format="JPEG", quality=quality, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
