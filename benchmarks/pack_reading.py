"""How fast training reads: our pack against torchvision's ImageFolder, per CPU second, in one run.

Both sides read the same JPEGs with the same augmentation (random crop of 60 % of the area or more in the
picture's proportions, resized to a square; horizontal flip), batch them and normalise. The pack was made
once, with pictures of `--pack-side` pixels at most; the time that took is told beside it.

    python -m benchmarks.pack_reading
"""

import argparse
import io
import json
import resource
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import datasets, transforms  # type: ignore[import-untyped]  # it carries no types

from cnnpipe import files, telemetry
from cnnpipe.datasets.classification import batch_maker
from cnnpipe.datasets.crops import packed_size
from cnnpipe.datasets.loading import batches_of_epoch, epoch_loader
from cnnpipe.datasets.normalisation import normalise
from cnnpipe.datasets.packs import PackPlan, open_view, write_view
from cnnpipe.datasets.records import Sample
from cnnpipe.formats.pictures import read_picture
from cnnpipe.params.augmentation import AugmentationParams

telemetry.turn_off()  # albumentations looks for updates when it is imported

from cnnpipe.augmentation.policy import build_augmentation  # noqa: E402
from cnnpipe.augmentation.preprocess import resize  # noqa: E402

CROP_SCALE = 0.6
MEAN = STD = (0.5, 0.5, 0.5)
CLASSES = ("first", "second")


def main() -> None:
    """Measure both sides, print the ratio, write the numbers as JSON."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        jpegs, pack = Path(name) / "jpegs", Path(name) / "pack"
        write_jpegs(jpegs, arguments.pictures)
        pack_seconds = cpu_seconds(lambda: write_pack(jpegs, pack, arguments.pack_side))
        ours = read_pack(pack, arguments)
        theirs = read_image_folder(jpegs, arguments)
        # in turns, so that what else the machine does meets both sides
        rates = [
            (rate(ours, epoch, arguments.pictures), rate(theirs, epoch, arguments.pictures))
            for epoch in range(1, arguments.epochs + 2)
        ][1:]  # the first is warm-up
    ours_rate, theirs_rate = (float(np.median(side)) for side in zip(*rates, strict=True))
    result = {
        **{key: value for key, value in vars(arguments).items() if key != "out"},
        "pack_pictures_per_cpu_second": ours_rate,
        "image_folder_pictures_per_cpu_second": theirs_rate,
        "ratio": ours_rate / theirs_rate,
        "packing_cpu_seconds": pack_seconds,
    }
    print(json.dumps(result, indent=2))
    files.write_json(arguments.out, result)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=5, help="measured; the median counts")
    parser.add_argument("--side", type=int, default=224, help="pixels, of the network's input")
    parser.add_argument("--pack-side", type=int, default=256, help="pixels, longer side in the pack")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "pack_reading.json")
    return parser.parse_args()


def write_jpegs(folder: Path, num_pictures: int) -> None:
    """Write 640 x 480 JPEGs of smooth noise, about as large as photographs, in two classes."""
    for number in range(num_pictures):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.normal(0.0, 6.0, (480, 640, 1)).astype(np.int16)
        buffer = io.BytesIO()
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        files.write_bytes(folder / CLASSES[number % 2] / f"{number:05d}.jpg", buffer.getvalue())


def write_pack(jpegs: Path, folder: Path, max_side_px: int) -> None:
    """Pack every JPEG below `jpegs`."""
    paths = sorted(jpegs.rglob("*.jpg"))
    width, height = packed_size(640, 480, max_side_px=max_side_px)
    samples = [
        Sample(
            sample_id=path.name,
            image_id=path.name,
            region=None,
            copy=0,
            split="train",
            group=path.name,
            label=path.parent.name,
            class_index=CLASSES.index(path.parent.name),
            offset=number * width * height * 3,
            width=width,
            height=height,
        )
        for number, path in enumerate(paths)
    ]
    plan = PackPlan(
        task="classify",
        label_attribute="folder",
        source="pictures",
        classes=list(CLASSES),
        channels=3,
        max_side_px=max_side_px,
        samples=samples,
    )
    folder.mkdir()
    whole = (read_picture(path, channels=3, max_pixels=640 * 480) for path in paths)
    write_view(folder, plan, (resize(picture, width=width, height=height) for picture in whole))


def read_pack(folder: Path, arguments: argparse.Namespace) -> Callable[[int], Iterable[Tensor]]:
    """Return what yields the normalised batches of an epoch from our pack."""
    policy = AugmentationParams(
        crop_scale=CROP_SCALE,
        flip_horizontal=0.5,
        flip_vertical=0.0,
        translate_fraction=0.0,
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
    )
    augment = build_augmentation(policy, side_px=arguments.side, channels=3, fit="stretch")
    opened = open_view(folder)
    make_batch = batch_maker(opened, augment)
    loader = epoch_loader(opened, make_batch, batch_size=arguments.batch_size, seed=0, num_workers=0)
    return lambda epoch: (normalise(batch.pictures, MEAN, STD) for batch in batches_of_epoch(loader, epoch))


def read_image_folder(folder: Path, arguments: argparse.Namespace) -> Callable[[int], Iterable[Tensor]]:
    """Return what yields the normalised batches of an epoch from torchvision's ImageFolder."""
    crop = transforms.RandomResizedCrop(arguments.side, scale=(CROP_SCALE, 1.0), ratio=(4 / 3, 4 / 3))
    steps = [
        crop,
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    dataset = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    loader = DataLoader(dataset, batch_size=arguments.batch_size, shuffle=True, num_workers=0)
    return lambda _: (pictures for pictures, _ in loader)


def rate(batches_of: Callable[[int], Iterable[Tensor]], epoch: int, num_pictures: int) -> float:
    """Return the pictures per CPU second of one walk through the batches."""

    def walk() -> None:
        num_seen = sum(len(batch) for batch in batches_of(epoch))
        if num_seen != num_pictures:
            raise RuntimeError(f"{num_seen} pictures of {num_pictures} were read")

    return num_pictures / cpu_seconds(walk)


def cpu_seconds(work: Callable[[], None]) -> float:
    """Return the CPU seconds, of user and system, that `work` takes in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
