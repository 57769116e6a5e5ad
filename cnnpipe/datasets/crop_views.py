"""Views of crops: which pixels each object or whole picture takes, where they lie in the pack, and copies.

Which crop each object gets follows from boxes and sizes alone, so the whole pack is planned before the first
picture is decoded; then each picture is decoded once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol

import msgspec

from cnnpipe.annotations import LabelledObject, LabelledPicture, Split
from cnnpipe.datasets.crops import Window, crop_window, middle_window, packed_size
from cnnpipe.datasets.packs import Picture
from cnnpipe.datasets.records import CropSample
from cnnpipe.datasets.split_pictures import SplitPicture, decode
from cnnpipe.params.augment import CropViewParams
from cnnpipe.seeding import seed_of

TOO_SMALL = "too small"
IN_NO_SPLIT = "picture in no split"


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """The pixels of an object, or of a whole picture, and where they go."""

    picture: LabelledPicture
    region: int | None  # None: the whole picture
    window: Window
    split: Split | None
    group: str


class Resize(Protocol):
    """Makes a picture (H, W, C) one of `width` x `height` pixels."""

    def __call__(self, picture: Picture, /, *, width: int, height: int) -> Picture: ...


class Change(msgspec.Struct, frozen=True, eq=False):
    """How pictures are changed on their way into the pack."""

    resize: Resize
    vary: Callable[[Picture, int], Picture]  # an original and a seed -> a copy of the same size


def cut_object(labelled: LabelledObject, item: SplitPicture, params: CropViewParams) -> Cut:
    """Return the crop of an object of the picture."""
    window = crop_window(
        labelled.box,
        margin_fraction=params.margin_fraction,
        square=params.square,
        width=item.picture.width,
        height=item.picture.height,
    )
    return Cut(
        picture=item.picture, region=labelled.region, window=window, split=item.split, group=item.group
    )


def cut_around(labelled: LabelledObject, item: SplitPicture, *, side_px: int) -> Cut:
    """Return a window of one size around the middle of an object of the picture."""
    window = middle_window(
        labelled.box, side_px=side_px, width=item.picture.width, height=item.picture.height
    )
    return Cut(
        picture=item.picture, region=labelled.region, window=window, split=item.split, group=item.group
    )


def cut_whole(item: SplitPicture) -> Cut:
    """Return the picture as a whole."""
    window = Window(x_min=0, y_min=0, x_max=item.picture.width, y_max=item.picture.height)
    return Cut(picture=item.picture, region=None, window=window, split=item.split, group=item.group)


def reason_against(cut: Cut, params: CropViewParams) -> str | None:
    """Return why the view has no place for these pixels, whatever they show; None: it has."""
    if cut.split is None:
        return IN_NO_SPLIT
    return TOO_SMALL if min(cut.window.width, cut.window.height) < params.min_side_px else None


def is_shrunk(cut: Cut, params: CropViewParams) -> bool:
    """Return whether the crop is larger than the view holds."""
    return max(cut.window.width, cut.window.height) > params.max_side_px


def num_copies(cut: Cut, params: CropViewParams) -> int:
    """Return how many copies stand beside the original: in train only."""
    return params.copies if cut.split == "train" else 0


def lay_out(cuts: Iterable[Cut], params: CropViewParams) -> Iterator[list[CropSample]]:
    """Yield for each cut its original and its copies, as they lie in the pack one behind the other.

    Args:
        cuts: each in a split; those of one picture stand together.
        params: of the view.
    """
    offset = 0
    for cut in cuts:
        width, height = packed_size(cut.window.width, cut.window.height, max_side_px=params.max_side_px)
        image_id = cut.picture.image_id
        original_id = image_id if cut.region is None else f"{image_id}#{cut.region}"
        samples = []
        for copy in range(1 + num_copies(cut, params)):
            sample = CropSample(
                sample_id=f"{original_id}~{copy}" if copy else original_id,
                image_id=image_id,
                region=cut.region,
                copy=copy,
                split=cut.split or "train",  # those without were left out before
                group=cut.group,
                offset=offset,
                width=width,
                height=height,
            )
            samples.append(sample)
            offset += width * height * params.channels
        yield samples


def render(
    cuts: Sequence[Cut],
    samples: Iterable[CropSample],
    raw_dir: Path,
    params: CropViewParams,
    change: Change,
) -> Iterator[Picture]:
    """Yield the picture of every sample of `lay_out`, each raw picture decoded once."""
    rest = iter(samples)
    for _, of_picture in groupby(cuts, key=lambda cut: cut.picture.image_id):
        of_one = list(of_picture)
        whole = decode(of_one[0].picture, raw_dir, channels=params.channels)
        for cut in of_one:
            for sample in islice(rest, 1 + num_copies(cut, params)):
                if sample.copy == 0:
                    original = change.resize(cut.window.cut(whole), width=sample.width, height=sample.height)
                    yield original
                else:
                    yield change.vary(original, seed_of(params.seed, "copy", sample.sample_id))
