"""Section `ingest`: where the VIA files and the pictures are."""

from typing import Annotated

from pydantic import Field

from cnnpipe.params.section import Count, Params


class IngestParams(Params):
    """Section `ingest`. Paths are below `raw_dir`."""

    raw_dir: str
    annotations: Annotated[list[str], Field(min_length=1)]
    images_dir: str
    max_pixels: Count
