"""What our judgement of detections costs over hotcoco alone, from boxes to COCO's twelve numbers.

    python -m benchmarks.detection_metrics [--rounds 5] [--out FILE] [--no-oracle]

5,000 pictures with 100 detections each, of 80 classes; both sides in turn in one process, CPU seconds. Ours
begins with a record of arrays per picture; hotcoco with the truth loaded and the results as COCO's list of
dicts, which a program that calls it has to make first. Bound: 1.2. The numbers are held against pycocotools'
(90 s) to 1e-9.
"""

import contextlib
import io
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

import hotcoco
import numpy as np
from pycocotools.coco import COCO  # type: ignore[import-untyped]  # no stubs
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]  # no stubs

from benchmarks import side_by_side
from cnnpipe import files
from cnnpipe.evaluation.detection import COCO_NAMES, Judged, coco_numbers, xywh

NUM_PICTURES: Final = 5_000
NUM_FOUND: Final = 100  # per picture
NUM_CLASSES: Final = 80
BOUND: Final = 1.2
TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class Result:
    """Seconds are CPU time; ratio is of the medians. The oracle is pycocotools; None: it was not asked."""

    pictures: int
    detections: int
    classes: int
    ours_seconds: tuple[float, ...]
    hotcoco_seconds: tuple[float, ...]
    ratio: float
    bound: float
    oracle_seconds: float | None
    largest_difference_from_oracle: float | None
    numbers: dict[str, float]
    hotcoco: str
    python: str
    machine: str


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 1 when the bound is passed or the numbers are not pycocotools'."""
    parser = side_by_side.options(__doc__, "detection_metrics", rounds=5)
    parser.add_argument("--no-oracle", action="store_true", help="do not ask pycocotools")
    options = parser.parse_args(arguments)
    pictures = drawn_pictures()
    dataset, results = as_coco(pictures)
    truth = hotcoco.COCO(dataset)
    ours = cpu_timed(lambda: coco_numbers(pictures, num_classes=NUM_CLASSES))
    theirs = cpu_timed(lambda: hotcoco_numbers(truth, results))
    ours(), theirs()  # the first of each takes memory that the others find ready
    timed = [(ours(), theirs()) for _ in range(options.rounds)]
    ours_seconds, hotcoco_seconds = (tuple(side[0] for side in sides) for sides in zip(*timed, strict=True))
    numbers = timed[0][0][1]
    ratio = statistics.median(ours_seconds) / statistics.median(hotcoco_seconds)
    oracle_seconds, difference = None, None
    if not options.no_oracle:
        oracle_seconds, expected = cpu_timed(lambda: pycocotools_numbers(dataset, results))()
        difference = max(abs(numbers[name] - value) for name, value in expected.items())
    result = Result(
        pictures=NUM_PICTURES,
        detections=len(results),
        classes=NUM_CLASSES,
        ours_seconds=ours_seconds,
        hotcoco_seconds=hotcoco_seconds,
        ratio=ratio,
        bound=BOUND,
        oracle_seconds=oracle_seconds,
        largest_difference_from_oracle=difference,
        numbers=numbers,
        hotcoco=version("hotcoco"),
        python=platform.python_version(),
        machine=platform.machine(),
    )
    print(json.dumps(asdict(result), indent=2))
    files.write_json(options.out, asdict(result))
    return int(ratio > BOUND or (difference is not None and difference > TOLERANCE))


def drawn_pictures() -> list[Judged]:
    """Return pictures of 1 to 13 objects of every size; detections are these, moved, half mislabelled."""
    generator = np.random.default_rng(0)
    return [_drawn(generator) for _ in range(NUM_PICTURES)]


def _drawn(generator: np.random.Generator) -> Judged:
    num_truths = int(generator.integers(1, 14))
    sizes = np.exp(generator.uniform(np.log(8), np.log(220), (num_truths, 2)))
    corners = generator.uniform(0, 400, (num_truths, 2))
    truth_class = generator.integers(0, NUM_CLASSES, num_truths)
    chosen = generator.integers(0, num_truths, NUM_FOUND)
    found_sizes = sizes[chosen] * np.exp(generator.normal(0, 0.15, (NUM_FOUND, 2)))
    found_corners = corners[chosen] + sizes[chosen] * generator.normal(0, 0.1, (NUM_FOUND, 2))
    is_right = generator.random(NUM_FOUND) < 0.5
    return Judged(
        truth_boxes_N4=np.hstack([corners, corners + sizes]),
        truth_class_N=truth_class,
        boxes_M4=np.hstack([found_corners, found_corners + found_sizes]),
        scores_M=generator.random(NUM_FOUND),
        class_M=np.where(is_right, truth_class[chosen], generator.integers(0, NUM_CLASSES, NUM_FOUND)),
    )


def as_coco(pictures: Sequence[Judged]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return truth and results as COCO's JSON files hold them."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        boxes, classes = xywh(picture.truth_boxes_N4).tolist(), picture.truth_class_N.tolist()
        for box, index in zip(boxes, classes, strict=True):
            annotation = {"image_id": number, "category_id": index + 1, "bbox": box, "area": box[2] * box[3]}
            annotations.append(annotation | {"id": len(annotations) + 1, "iscrowd": 0})
        boxes, classes = xywh(picture.boxes_M4).tolist(), picture.class_M.tolist()
        for box, index, score in zip(boxes, classes, picture.scores_M.tolist(), strict=True):
            results.append({"image_id": number, "category_id": index + 1, "bbox": box, "score": score})
    dataset = {
        "info": {},
        "images": [{"id": number, "width": 640, "height": 480} for number in range(1, len(pictures) + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": str(number)} for number in range(1, NUM_CLASSES + 1)],
    }
    return dataset, results


def hotcoco_numbers(truth: hotcoco.COCO, results: list[dict[str, Any]]) -> dict[str, float]:
    """Return the numbers as a program gets them that calls hotcoco itself."""
    evaluation = hotcoco.COCOeval(truth, truth.load_res(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summary_lines()
    return dict(zip(COCO_NAMES.values(), evaluation.stats, strict=True))


def pycocotools_numbers(dataset: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, float]:
    """Return the numbers of COCO's own tool."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_NAMES.values(), evaluation.stats.tolist(), strict=True))


def cpu_timed(work: Callable[[], dict[str, float]]) -> Callable[[], tuple[float, dict[str, float]]]:
    """Return what does the work and tells the CPU seconds of all threads beside its result."""

    def timed() -> tuple[float, dict[str, float]]:
        began = time.process_time()
        found = work()
        return time.process_time() - began, found

    return timed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
