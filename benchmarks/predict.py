"""How much `predict` takes over decoding its pictures and running the network, and nothing else.

    .venv/bin/python -m benchmarks.predict [--rounds 5] [--pictures 1000] [--side 96] [--out FILE]

Both sides read the same JPEGs (640 x 480) by the same decoder in as many threads, lay them on the same square
and run the same lite0 with batches of the same size on one thread, in one process, in turn; medians of CPU
time are compared. Ours also hashes every file, names the best class, writes lines of JSON and keeps a state
to go on from. Bound: 1.15 without drawn pictures. With them, the peer is charged for encoding JPEGs alone.
"""

import io
import logging
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cnnpipe import telemetry

telemetry.turn_off()  # before anything is imported that could phone home

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks import side_by_side  # noqa: E402
from cnnpipe import files  # noqa: E402
from cnnpipe.formats.picture_files import find_pictures  # noqa: E402
from cnnpipe.formats.pictures import read_picture  # noqa: E402
from cnnpipe.inference.classifier import load_classifier  # noqa: E402
from cnnpipe.inference.picture_batches import BATCH_SIZE  # noqa: E402
from cnnpipe.inference.preprocessing import normalise_of, preprocess_of  # noqa: E402
from cnnpipe.inference.torch_settings import repeatable_torch  # noqa: E402
from cnnpipe.models.bundle import MODEL_FILE, WEIGHTS_FILE, ModelSpec, Preprocessing  # noqa: E402
from cnnpipe.models.networks import build_network  # noqa: E402
from cnnpipe.models.shape import NetworkShape  # noqa: E402
from cnnpipe.models.weights import write_weights  # noqa: E402
from cnnpipe.projects.predict import PredictJob, predict  # noqa: E402
from cnnpipe.projects.prediction_records import PredictSettings  # noqa: E402

BOUND = 1.15
WIDTH, HEIGHT = 640, 480
CLASSES = ("boot", "coat", "dress", "sandal", "shirt", "trouser")
NUM_THREADS = min(2, os.cpu_count() or 1)  # that decode, on both sides
JPEG_QUALITY = 88  # of drawn pictures

log = logging.getLogger("benchmarks.predict")


@dataclass(frozen=True)
class Result:
    """Seconds are CPU time of a whole round; ratios are of medians."""

    num_pictures: int
    side_px: int
    ours_cpu_seconds: tuple[float, ...]
    bare_cpu_seconds: tuple[float, ...]
    ratio: float
    bound: float
    ours_wall_seconds: tuple[float, ...]
    bare_wall_seconds: tuple[float, ...]
    drawn_cpu_seconds: tuple[float, ...]
    encoding_cpu_seconds: tuple[float, ...]  # the JPEGs alone
    drawn_ratio: float  # drawn over bare and encoding
    torch: str


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when the bound is passed."""
    parser = side_by_side.options(__doc__, "predict", rounds=5)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--side", type=int, default=96, help="pixels, of the network's square")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    with tempfile.TemporaryDirectory(prefix="cnnpipe-predict-") as name:
        folder = Path(name)
        write_jpegs(folder / "pictures", options.pictures)
        write_bundle(folder / "model", options.side)
        result = measure(folder, options.rounds, num_pictures=options.pictures, side_px=options.side)
    files.write_json(options.out, result)
    print(f"predict, lite0 {result.side_px} px: {result.ratio:.3f}, bound {result.bound}")
    print(f"with drawn pictures, over decoding, network and encoding: {result.drawn_ratio:.3f}")
    return int(result.ratio > result.bound)


def measure(folder: Path, rounds: int, *, num_pictures: int, side_px: int) -> Result:
    """Run all sides in turn."""
    sides = (
        lambda: ours(folder, is_drawn=False),
        lambda: bare(folder),
        lambda: ours(folder, is_drawn=True),
        lambda: encode(folder),
    )
    bare(folder)  # the first run reads files that are not in memory yet
    measured = [[seconds(side) for side in sides] for _ in range(rounds)]
    cpu, wall = ([[pair[which] for pair in one] for one in zip(*measured, strict=True)] for which in (0, 1))
    middle = [statistics.median(each) for each in cpu]
    return Result(
        num_pictures=num_pictures,
        side_px=side_px,
        ours_cpu_seconds=tuple(cpu[0]),
        bare_cpu_seconds=tuple(cpu[1]),
        ratio=middle[0] / middle[1],
        bound=BOUND,
        ours_wall_seconds=tuple(wall[0]),
        bare_wall_seconds=tuple(wall[1]),
        drawn_cpu_seconds=tuple(cpu[2]),
        encoding_cpu_seconds=tuple(cpu[3]),
        drawn_ratio=middle[2] / (middle[1] + middle[3]),
        torch=str(torch.__version__),
    )


def ours(folder: Path, *, is_drawn: bool) -> None:
    """Predict on every picture, the results into a new folder."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    found = find_pictures([str(folder / "pictures")], leave_out=out)
    settings = PredictSettings(threshold=None, max_pixels=WIDTH * HEIGHT, drawn=is_drawn)
    predict(PredictJob(bundle=folder / "model", pictures=found, out=out, settings=settings), lambda *_: None)


def bare(folder: Path) -> None:
    """Read every picture and run the network on it, and forget the answer."""
    classifier = load_classifier(folder / "model")
    preprocess = preprocess_of(classifier.spec.preprocessing)
    normalise = normalise_of(classifier.spec.preprocessing)
    paths = sorted((folder / "pictures").glob("*.jpg"))
    with ThreadPoolExecutor(NUM_THREADS) as pool, repeatable_torch(num_threads=1), torch.inference_mode():
        for start in range(0, len(paths), BATCH_SIZE):
            squares = [preprocess(each) for each in pool.map(read, paths[start : start + BATCH_SIZE])]
            batch = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
            classifier.network(normalise(batch).contiguous(memory_format=torch.channels_last))


def encode(folder: Path) -> None:
    """Encode as many pictures as JPEG and write them; always the same one: decoding does not count."""
    paths = sorted((folder / "pictures").glob("*.jpg"))
    picture = Image.fromarray(read(paths[0]))
    (folder / "encoded").mkdir(exist_ok=True)
    for path in paths:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
        (folder / "encoded" / path.name).write_bytes(buffer.getvalue())


def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a picture by cnnpipe's decoder."""
    return read_picture(path, channels=3, max_pixels=WIDTH * HEIGHT)


def write_jpegs(folder: Path, number: int) -> None:
    """Write JPEGs that compress like photographs: smooth, with grain."""
    folder.mkdir()
    for seed in range(number):
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.normal(0.0, 6.0, (HEIGHT, WIDTH, 1)).astype(np.int16)
        picture = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{seed:05d}.jpg", quality=85)


def write_bundle(folder: Path, side_px: int) -> None:
    """Write the bundle of a lite0 with its first weights."""
    folder.mkdir()
    shape = NetworkShape(num_classes=len(CLASSES), channels=3, side_px=side_px, dropout=0.2)
    network = build_network("lite0", shape, weights="none", seed=1)
    preprocessing = Preprocessing(side_px=side_px, channels=3, fit="letterbox", mean=[0.5] * 3, std=[0.5] * 3)
    spec = ModelSpec(
        task="classify",
        network="lite0",
        dropout=0.2,
        classes=list(CLASSES),
        preprocessing=preprocessing,
        decoder="softmax",
        data_sha256="",
        weights_sha256=write_weights(folder / WEIGHTS_FILE, network.state_dict()),
    )
    files.write_json(folder / MODEL_FILE, spec)


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Return the CPU time of all threads, and the wall time, that `work` takes."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after, ended = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    log.info("%.2f CPU seconds, %.2f s", spent, ended - began)
    return spent, ended - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
